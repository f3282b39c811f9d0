"""Deterministic events: equal arguments give equal bytes on any Python.

    ten_segments  the comparison job: small track events in time order, accounts skewed and in phases of activity
    mixed         what a product really sends: all kinds of calls, several sizes, some late, some twice
    real          the bundled thirteen years of commits, several times over under other account names
    skewed        plain activity over a population of any size

Accounts are drawn with a density of rank to the power of -0.75: of 10,000 the largest has some 3 % of all events.
"""

import gzip
import json
import random
from bisect import bisect
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import Producer

from schemas.timestamps import format_ms, parse_ms

DAY_MS: Final = 86_400_000
START_MS: Final = 20_513 * DAY_MS  # 2026-03-01T00:00Z
REAL_EVENTS: Final = Path(__file__).parents[1] / "deploy" / "demo" / "oss-activity.ndjson.gz"
SKEW: Final = 0.75
FLUSH_WITHIN_S: Final = 120.0
BY_KEY: Final = -1

LATE_SHARE: Final = 0.07
DUPLICATE_SHARE: Final = 0.02
REPEATED_WITHIN: Final = 64
LATE_MS: Final = (10 * 60_000, 6 * DAY_MS)


class Loaded(NamedTuple):
    """An event, whose it is, and when it arrives (its Kafka timestamp)."""

    account: str
    user: str
    arrival_ms: int
    raw: bytes


class Ranks:
    """Draws ranks 0 to n - 1 with the density that the module's docstring says."""

    def __init__(self, count: int) -> None:
        self._last = count - 1
        power = 1 - SKEW
        self._power = 1 / power
        self._low = 0.5**power
        self._span = (count + 0.5) ** power - self._low

    def draw(self, uniform: float) -> int:
        return min(self._last, int((self._low + uniform * self._span) ** self._power - 0.5))


# -- the comparison job ------------------------------------------------------------------------------------------------

JOB_NAMES: Final = {
    "page_viewed": 40, "report_created": 12, "dashboard_shared": 8, "integration_connected": 2, "export_run": 8,
    "alert_created": 5, "api_called": 15, "user_invited": 3, "logged_in": 7,
}  # fmt: skip
JOB_DAYS: Final = 30
LEVEL_DAYS: Final = 5


class _Phases:
    """How active each account is on each day: nothing before its first, then levels that change every few days."""

    def __init__(self, rng: random.Random, accounts: int) -> None:
        weights = [(rank + 1) ** -SKEW for rank in range(accounts)]
        rng.shuffle(weights)
        top = max(weights)
        self._weights = weights
        self._first_day = [0 if rng.random() < 0.4 else rng.randrange(JOB_DAYS - 8) for _ in weights]
        self.seats = [1 + int(40 * (one / top) ** 0.5 * rng.random()) + rng.randrange(3) for one in weights]
        spans = JOB_DAYS // LEVEL_DAYS + 2
        self._levels = [[rng.choice((0.0, 0.2, 1.0, 1.0, 3.0)) for _ in range(spans)] for _ in weights]
        self._phases = [rng.randrange(LEVEL_DAYS) for _ in weights]

    def cumulated(self, day: int) -> list[float]:
        """Running sums of the accounts' weights on a day."""
        sums, total = [], 0.0
        for account, weight in enumerate(self._weights):
            first = self._first_day[account]
            if day >= first:
                level = self._levels[account][(day + self._phases[account]) // LEVEL_DAYS]
                total += weight * (2.0 if day == first else level)
            sums.append(total)
        return sums


def ten_segments(events: int, accounts: int = 10_000, seed: int = 7, prefix: str = "acct") -> Iterator[Loaded]:
    """The job of the comparison: track events of `accounts` over a month, in time order, some 244 bytes each."""
    rng = random.Random(f"pegel-peers-{seed}")
    phases = _Phases(rng, accounts)
    names, shares = list(JOB_NAMES), list(JOB_NAMES.values())
    breadths = [rng.choice((2, 4, 6, 9)) for _ in range(accounts)]
    orders = [rng.sample(range(len(names)), len(names)) for _ in range(64)]
    number = 0
    for day in range(JOB_DAYS):
        sums = phases.cumulated(day)
        count = events * (day + 1) // JOB_DAYS - events * day // JOB_DAYS
        for offset in sorted(rng.randrange(DAY_MS) for _ in range(count)):
            account = min(bisect(sums, rng.random() * sums[-1]), accounts - 1)
            mine = orders[account % 64][: breadths[account]]
            often = rng.random() >= 0.7
            name = "page_viewed" if often else names[rng.choices(mine, [shares[one] for one in mine])[0]]
            user = f"u{account}-{int(phases.seats[account] * rng.random() ** 2)}"
            at = START_MS + day * DAY_MS + offset
            yield Loaded(
                f"{prefix}-{account}", user, at, _job_event(rng, number, f"{prefix}-{account}", user, name, at)
            )
            number += 1


def _job_event(rng: random.Random, number: int, account: str, user: str, name: str, at: int) -> bytes:
    bits = rng.getrandbits(64)
    message_id = (
        f"{number:08x}-{bits >> 48:04x}-4{bits >> 36 & 0xFFF:03x}-9{bits >> 24 & 0xFFF:03x}"
        f"-{number & 0xFFFF:04x}{bits & 0xFFFFFFFF:08x}"
    )
    return (
        f'{{"type":"track","messageId":"{message_id}","userId":"{user}","event":"{name}",'
        f'"timestamp":"{format_ms(at)}","context":{{"groupId":"{account}"}},'
        f'"properties":{{"source":"web","duration_ms":{bits & 0xFFF},"plan":"team"}}}}'
    ).encode()


# -- what a product sends ----------------------------------------------------------------------------------------------

CALLS: Final = {
    "track": 795, "page": 80, "screen": 10, "identify": 15, "group": 40, "subscription_started": 6, "plan_changed": 6,
    "subscription_cancelled": 2, "nps_answered": 12, "support_ticket_opened": 22, "referral_sent": 12,
}  # fmt: skip
TRACKED: Final = {
    "report_viewed": 26, "dashboard_viewed": 18, "search_performed": 10, "report_created": 9, "logged_in": 9,
    "api_called": 7, "dashboard_shared": 5, "export_run": 5, "filter_applied": 4, "comment_added": 3,
    "alert_created": 2, "user_invited": 1, "integration_connected": 1,
}  # fmt: skip
PLANS: Final = (("starter", 49), ("team", 240), ("business", 900), ("enterprise", 4_200))
TEAMS: Final = ("finance", "sales", "operations", "support", "engineering", "marketing")
INDUSTRIES: Final = ("banking", "software", "retail", "logistics", "healthcare", "insurance")
COUNTRIES: Final = ("DE", "AT", "CH", "FR", "GB", "US", "NL")
AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile/15E148 Safari",
)
MIXED_DAYS: Final = 30


def mixed(events: int, accounts: int = 10_000, seed: int = 7) -> Iterator[Loaded]:
    """All kinds of calls over a month in the order of arrival; 7 % late by up to six days, 2 % twice."""
    product = _Product(random.Random(f"pegel-mixed-{seed}"), accounts)
    rng = product.rng
    recent: deque[Loaded] = deque(maxlen=REPEATED_WITHIN)
    for number in range(events):
        arrival_ms = START_MS + number * MIXED_DAYS * DAY_MS // events
        if recent and rng.random() < DUPLICATE_SHARE:
            yield rng.choice(recent)._replace(arrival_ms=arrival_ms)
            continue
        made = product.event(number, arrival_ms)
        recent.append(made)
        yield made


class _Product:
    """A product's users at work."""

    def __init__(self, rng: random.Random, accounts: int) -> None:
        self.rng = rng
        self._ranks = Ranks(accounts)
        self._grouped: set[str] = set()  # users of whom a group call was sent: their events need not name the account
        self._calls, self._call_shares = list(CALLS), list(CALLS.values())
        self._tracked, self._tracked_shares = list(TRACKED), list(TRACKED.values())

    def event(self, number: int, arrival_ms: int) -> Loaded:
        rng = self.rng
        rank = self._ranks.draw(rng.random())
        account = f"{INDUSTRIES[rank % 6]}-{rank:05d}.example"
        user = f"u-{rank:05d}-{int((2 + 6_000 / (rank + 60)) * rng.random() ** 2):03d}"
        call = rng.choices(self._calls, self._call_shares)[0]
        late_ms = rng.randrange(*LATE_MS) if rng.random() < LATE_SHARE else 150 + rng.getrandbits(9)
        fields: dict[str, Any] = {
            "type": call if call in {"page", "screen", "identify", "group"} else "track",
            "messageId": f"{rng.getrandbits(64):016x}-{number:08x}",
            "userId": user,
            "timestamp": format_ms(arrival_ms - late_ms),
            "sentAt": format_ms(arrival_ms - 120),
            "receivedAt": format_ms(arrival_ms),
            "context": self._context(account, user),
        }
        fields |= self._content(call, rank, account, user)
        return Loaded(account, user, arrival_ms, json.dumps(fields, separators=(",", ":")).encode())

    def _context(self, account: str, user: str) -> dict[str, Any]:
        bits = self.rng.getrandbits(16)
        context: dict[str, Any] = {"ip": f"203.0.113.{bits & 255}", "locale": "en-GB"}
        if bits & 0x300:
            context |= {"library": {"name": "analytics.js", "version": "4.1.0"}, "userAgent": AGENTS[bits % 3]}
        if user not in self._grouped or bits & 0x400:
            context["groupId"] = account
        return context

    def _content(self, call: str, rank: int, account: str, user: str) -> dict[str, Any]:
        bits = self.rng.getrandbits(24)
        plan, mrr = PLANS[min(3, (bits >> 10) % 11 // 3)]
        match call:
            case "group":
                self._grouped.add(user)
                return {"groupId": account, "traits": self._traits(rank, plan, mrr)}
            case "identify":
                return {"traits": {"email": f"{user}@{account}", "firstName": "Kim", "role": "analyst"}}
            case "page" | "screen":
                name = ("Reports", "Dashboards", "Settings", "Billing")[bits & 3]
                return {"name": name, "properties": {"path": f"/{name.lower()}/{bits & 0xFFF}", "title": name}}
            case "subscription_started" | "plan_changed":
                return {"event": call, "properties": {"plan": plan, "mrr": mrr, "currency": "EUR"}}
            case "subscription_cancelled":
                return {"event": call, "properties": {"reason": ("price", "missing feature", "unused")[bits % 3]}}
            case "nps_answered":
                return {"event": call, "properties": {"score": (10, 9, 9, 8, 8, 7, 6, 3)[bits & 7], "survey": "q1"}}
            case "support_ticket_opened":
                return {"event": call, "properties": {"priority": ("low", "high")[bits & 1], "ticket": bits >> 4}}
            case "referral_sent":
                return {"event": call, "properties": {"channel": "mail"}}
            case _:
                name = self.rng.choices(self._tracked, self._tracked_shares)[0]
                properties = {"team": TEAMS[bits % 6], "duration_ms": bits & 0xFFF, "rows": bits >> 12, "source": "web"}
                return {"event": name, "properties": properties}

    def _traits(self, rank: int, plan: str, mrr: int) -> dict[str, Any]:
        created_ms = START_MS + (rank * 7_919 % 130 - 120) * DAY_MS
        seats = 5 + rank % 40
        return {
            "name": f"{INDUSTRIES[rank % 6].title()} {rank}", "plan": plan, "mrr": mrr, "seats": seats,
            "createdAt": format_ms(created_ms), "trialEndsAt": format_ms(created_ms + 14 * DAY_MS),
            "industry": INDUSTRIES[rank % 6], "country": COUNTRIES[rank % 7],
            "usage": {"seats": self.rng.randrange(seats + 1), "reports": rank % 90},
            "limits": {"seats": seats, "reports": 100},
        }  # fmt: skip


# -- others ------------------------------------------------------------------------------------------------------------


def real(copies: int) -> Iterator[Loaded]:
    """The bundled data set: each event for so many accounts, the first of which has its own name."""
    with gzip.open(REAL_EVENTS) as lines:
        for line in lines:
            event = json.loads(line)
            arrival_ms = parse_ms(event.get("receivedAt") or event["timestamp"])
            assert arrival_ms is not None, "the data set has an arrival everywhere"
            account = str(event.get("groupId") or event["context"]["groupId"])
            for copy in range(copies):
                name = account if copy == 0 else f"{account}.{copy}"
                raw = line.rstrip().replace(f'"{account}"'.encode(), f'"{name}"'.encode())
                yield Loaded(name, str(event["userId"]), arrival_ms, raw)


def skewed(events: int, accounts: int, start_ms: int, span_ms: int, prefix: str, seed: int = 7) -> Iterator[Loaded]:
    """Activity of a population of any size, evenly over `span_ms` from `start_ms`; accounts are numbered by rank."""
    rng = random.Random(f"pegel-skewed-{seed}")
    ranks, names, shares = Ranks(accounts), list(JOB_NAMES), list(JOB_NAMES.values())
    for number in range(events):
        account = f"{prefix}-{ranks.draw(rng.random())}"
        user, at = f"u{rng.getrandbits(2)}", start_ms + number * span_ms // events
        raw = _job_event(rng, number, account, user, rng.choices(names, shares)[0], at)
        yield Loaded(account, user, at, raw)


# -- to Kafka ----------------------------------------------------------------------------------------------------------


class Feed:
    """Writes to a topic as fast as the broker takes it; the partition is what the key says, as Java clients do it."""

    def __init__(self, bootstrap: str, topic: str, *, linger_ms: int = 20) -> None:
        self._topic = topic
        self._failed: list[str] = []
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "compression.type": "lz4",
            "linger.ms": linger_ms, "batch.size": 900_000, "queue.buffering.max.messages": 200_000,
            "enable.idempotence": True, "log_level": 3,
        })  # fmt: skip

    def send(self, key: bytes, value: bytes, at_ms: int, partition: int = BY_KEY) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, partition=partition, timestamp=at_ms, on_delivery=self._noted
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        self._producer.poll(timeout_s)

    def close(self) -> None:
        left = self._producer.flush(FLUSH_WITHIN_S)
        assert left == 0 and not self._failed, f"{left} events were not written; {self._failed[:3]}"  # noqa: PT018

    def _noted(self, error: Any, _: Any) -> None:
        if error is not None:
            self._failed.append(str(error))


def publish(bootstrap: str, topic: str, events: Iterable[Loaded], *, by_user: bool = False) -> None:
    """Write all events keyed by account (or user)."""
    feed = Feed(bootstrap, topic)
    for event in events:
        feed.send((event.user if by_user else event.account).encode(), event.raw, event.arrival_ms)
    feed.close()
