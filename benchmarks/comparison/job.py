"""The job in plain Python over a dict per account, as one would write it for Faust.

`take` brings an account to an event and returns its transitions. Deadlines fire on the account's own next event: they
are the midnights since its last one, for windows are made of days, and the ages at which a rule changes by itself. To
evaluate once too often changes nothing. The state is JSON: days are texts, as JSON has no other keys.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

DAY_MS: Final = 86_400_000
AGES_MS: Final = (4 * DAY_MS, 11 * DAY_MS, 14 * DAY_MS)
DAYS: Final = 28
USER_DAYS: Final = 7
WEIGHTS: Final = {
    "report_created": 3,
    "dashboard_shared": 4,
    "integration_connected": 10,
    "user_invited": 5,
    "export_run": 2,
}
CORE: Final = frozenset(
    ("report_created", "dashboard_shared", "integration_connected", "export_run", "alert_created", "api_called")
)

Account = dict[str, Any]
Transition = dict[str, Any]


def new_account(at_ms: int) -> Account:
    return {
        "now": at_ms,
        "signed_up_at": at_ms,
        "sequence": 0,
        "members": [],
        "events": {},
        "scores": {},
        "core": {},
        "users": {},
    }


def at_ms_of(event: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)


def take(account_id: str, account: Account, event: dict[str, Any], at_ms: int) -> list[Transition]:
    """Fire the deadlines up to the event, apply it, evaluate."""
    found: list[Transition] = []
    for deadline_ms in deadlines(account, at_ms):
        move_to(account, deadline_ms)
        found += evaluate(account_id, account)
    move_to(account, at_ms)
    apply(account, event)
    return found + evaluate(account_id, account)


def deadlines(account: Account, until_ms: int) -> Iterator[int]:
    """Those after `now`, in order."""
    ages = [account["signed_up_at"] + age for age in AGES_MS]
    while True:
        now = account["now"]
        next_ms = min([(now // DAY_MS + 1) * DAY_MS, *(at for at in ages if at > now)])
        if next_ms > until_ms:
            return
        yield next_ms


def move_to(account: Account, at_ms: int) -> None:
    before, today = account["now"] // DAY_MS, at_ms // DAY_MS
    account["now"] = at_ms
    if before != today:
        for name in ("events", "scores"):
            account[name] = {day: count for day, count in account[name].items() if int(day) > today - DAYS}
        account["users"] = {user: day for user, day in account["users"].items() if day > today - USER_DAYS}


def apply(account: Account, event: dict[str, Any]) -> None:
    today, name = account["now"] // DAY_MS, event["event"]
    day = str(today)
    account["events"][day] = account["events"].get(day, 0) + 1
    account["scores"][day] = account["scores"].get(day, 0) + WEIGHTS.get(name, 1)
    if name in CORE:
        account["core"][name] = today
    account["users"][event["userId"]] = today


class Window:
    """What the rules read, as of the account's `now`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._today = account["now"] // DAY_MS
        self.age = (account["now"] - account["signed_up_at"]) / DAY_MS

    def score(self, days: int, before: int = 0) -> int:
        scores, last = self._account["scores"], self._today - before
        return sum(scores.get(str(day), 0) for day in range(last - days + 1, last + 1))

    def count(self) -> int:
        return sum(self._account["events"].values())

    def active_days(self) -> int:
        events = self._account["events"]
        return sum(str(day) in events for day in range(self._today - 6, self._today + 1))

    def active_users(self) -> int:
        return len(self._account["users"])

    def core_features(self) -> int:
        return sum(day > self._today - DAYS for day in self._account["core"].values())


RULES: Final[dict[str, Callable[[Window], bool]]] = {
    "new": lambda w: w.age < 4,
    "expiring": lambda w: 11 <= w.age < 14,
    "surging": lambda w: w.score(3) >= 10 and w.score(3) >= 2 * w.score(3, 3),
    "active_days": lambda w: w.active_days() >= 5,
    "at_risk": lambda w: w.score(14, 14) >= 10 and w.score(14) < 0.5 * w.score(14, 14),
    "heating_up": lambda w: w.score(7) >= 10 and w.score(7) >= 1.5 * w.score(7, 7),
    "cooling_down": lambda w: w.score(7, 7) >= 10 and w.score(7) <= 0.5 * w.score(7, 7),
    "under_adopted": lambda w: w.core_features() < 3,
    "multi_user": lambda w: w.active_users() >= 3,
    "power": lambda w: w.count() >= 50 and w.core_features() >= 4,
}
EXITS: Final[dict[str, Callable[[Window], bool]]] = {
    "surging": lambda w: w.score(3) < 1.2 * w.score(3, 3),
}


def evaluate(account_id: str, account: Account) -> list[Transition]:
    """Transitions in the order of the rules; `members` and `sequence` are brought up to date."""
    window, found, members = Window(account), [], []
    for segment, rule in RULES.items():
        was = segment in account["members"]
        leaves = EXITS.get(segment)
        holds = (was or rule(window)) and not leaves(window) if leaves else rule(window)
        if holds:
            members.append(segment)
        if holds != was:
            account["sequence"] += 1
            found.append(
                {
                    "account_id": account_id,
                    "segment": segment,
                    "direction": "entered" if holds else "exited",
                    "effective_at": account["now"],
                    "sequence": account["sequence"],
                }
            )
    account["members"] = members
    return found
