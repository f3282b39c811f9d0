"""Half a year of a few made-up accounts, in which every segment of the default catalog is entered once at least."""

import json
from collections.abc import Iterator
from typing import Any, Final

from schemas.timestamps import DAY_MS, format_ms
from streams.catalogs import load_program
from streams.engine.outgoing import emitted, told
from streams.intake.identity_settings import identity_of
from streams.replay.lines import Line
from streams.replay.run import Replay
from streams.settings import IntakeSettings

START_MS: Final = 1_767_600_000_000
"""2026-01-05 08:00 UTC, a Monday."""
DAYS: Final = 215
ACTIVATION: Final = ("user_invited", "integration_connected", "report_created", "report_created", "report_created")

# Account, name, owner, and the monthly payment of those that buy.
ACCOUNTS: Final = (
    ("acme", "Acme Ltd", "anna@example.com", None),
    ("globex", "Globex GmbH", "ben@example.com", 900),
    ("initech", "Initech Inc", "anna@example.com", 1_500),
    ("umbrella", "Umbrella AG", "cara@example.com", None),
    ("hooli", "Hooli", "ben@example.com", 120),
    ("stark", "Stark SA", "cara@example.com", 700),
)
SAMPLES_A_SEGMENT: Final = 3
OTHERS: Final = 10
"""Accounts that are there so that there is a population to compare with."""


def events() -> list[bytes]:
    """In the order of time."""
    found = sorted(_all(), key=lambda one: str(one["timestamp"]))
    return [json.dumps({**one, "messageId": f"m{n}"}).encode() for n, one in enumerate(found)]


def _all() -> Iterator[dict[str, Any]]:
    for place, (account, name, owner, _) in enumerate(ACCOUNTS):
        traits = {"name": name, "owner": owner, "createdAt": format_ms(_at(0, place))}
        yield _event(account, 0, "group", minute=place, traits=traits)
    yield from _acme()
    yield from _globex()
    yield from _initech()
    yield from _the_rest()
    for n in range(OTHERS):
        yield from (_track(f"other-{n}", day, "report_created") for day in range(0, 20 + 15 * n, 5))


def _acme() -> Iterator[dict[str, Any]]:
    """Activated, with a spike in the trial; never buys."""
    yield from (_track("acme", 1, event) for event in ACTIVATION)
    yield from (_track("acme", day, "report_created") for day in (5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7))


def _globex() -> Iterator[dict[str, Any]]:
    """Buys, uses it for two months, falls silent."""
    yield from (_track("globex", 2, event) for event in ACTIVATION)
    yield _track("globex", 10, "subscription_started", mrr=900, plan="pro")
    for day in range(10, 60):
        yield from (_track("globex", day, "report_created") for _ in range(2))


def _initech() -> Iterator[dict[str, Any]]:
    """The best one: uses more and more of it, recommends it; later tires of it."""
    yield from (_track("initech", 1, event) for event in ACTIVATION)
    yield _track("initech", 8, "subscription_started", mrr=1_500, plan="scale")
    for day in range(8, DAYS):
        busy = 6 if 70 <= day < 77 else 2
        names = ("report_created", "dashboard_shared", "export_run", "alert_created")
        yield from (_track("initech", day, names[n % 4], team=f"team-{n % 3}") for n in range(busy))
    yield _event("initech", 40, "group", traits={"usage": {"seats": 17}, "limits": {"seats": 20}})
    yield _track("initech", 45, "referral_sent")
    for day, answer in ((50, 10), (120, 8), (150, 3)):
        yield _track("initech", day, "nps_answered", score=answer)
    yield from (_track("initech", 152, "support_ticket_opened", minute=n) for n in range(3))


def _the_rest() -> Iterator[dict[str, Any]]:
    yield _track("umbrella", 1, "user_invited")  # begins the checklist and gets stuck
    yield from (_track("hooli", day, "page_viewed") for day in range(2, 30))  # active, with none of the core features
    yield _track("hooli", 9, "subscription_started", mrr=120)
    yield from (_track("stark", 3, event) for event in ACTIVATION)
    yield _track("stark", 9, "subscription_started", mrr=700)
    yield from (_track("stark", 10 + n // 4, "report_created") for n in range(60))
    yield _track("stark", 30, "subscription_cancelled")


def _track(account: str, day: int, event: str, minute: int = 0, **properties: Any) -> dict[str, Any]:
    return _event(account, day, "track", minute=minute, event=event, properties=properties)


def _event(account: str, day: int, kind: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    at = format_ms(_at(day, minute))
    group = {"groupId": account} if kind == "group" else {}
    return {
        "type": kind, "userId": f"ann@{account}", "timestamp": at, "receivedAt": at, "context": {"groupId": account},
        **group, **fields,
    }  # fmt: skip


def _at(day: int, minute: int) -> int:
    return START_MS + day * DAY_MS + minute * 60_000


def transitions() -> list[bytes]:
    """What the default catalog makes of it, as transitions stand on the wire."""
    run = Replay(load_program("default"), identity_of(IntakeSettings()).take, START_MS + DAYS * DAY_MS)
    for number, event in enumerate(events()):
        run.feed(Line("scenario", number, event))
    return [told(one, emitted(None)).value for one in run.finish()]


def samples() -> list[bytes]:
    """The first entries into each segment, in catalog order, of accounts with a name where there are any."""
    named = {account for account, *_ in ACCOUNTS}
    entries = [one for one in map(json.loads, transitions()) if one["direction"] != "exited"]
    entries.sort(key=lambda one: one["account_id"] not in named)
    found = []
    for segment in load_program("default").segments:
        first: dict[str, Any] = {}
        for one in entries:
            if one["segment"] == segment.id:
                first.setdefault(one["account_id"], one)
        found += list(first.values())[:SAMPLES_A_SEGMENT]
    return [json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode() for one in found]
