# ruff: noqa: INP001 - a folder of programs
"""The load of the benchmarks: track events of skewed accounts over some days, in time order, always the same.

`python -m benchmarks.load N FILE [--accounts 10000] [--days 30] [--seed 7]` writes a line per event,
`<account><tab><json>`, about 244 bytes of JSON each. A seed gives the same bytes on any Python 3.11 or newer. Most
accounts are there from the beginning, some sign up later; their activity goes up and down in stretches of five days.
"""

import argparse
import random
from bisect import bisect
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000
START_MS: Final = 20_513 * DAY_MS  # 2026-03-01T00:00Z
DAYS_MAX: Final = 60
STRETCH_DAYS: Final = 5
YOUNGEST_DAYS: Final = 8
LEVELS: Final = (0.0, 0.2, 1.0, 1.0, 3.0)
BREADTHS: Final = (2, 4, 6, 9)
ORDERS: Final = 64
SHARES: Final = {
    "page_viewed": 40,
    "report_created": 12,
    "dashboard_shared": 8,
    "integration_connected": 2,
    "export_run": 8,
    "alert_created": 5,
    "api_called": 15,
    "user_invited": 3,
    "logged_in": 7,
}


class Event(NamedTuple):
    account: str
    at_ms: int
    body: str


class Accounts:
    """Who the accounts are: how active and when, with how many users, and which events they know."""

    def __init__(self, rnd: random.Random, accounts: int, days: int) -> None:
        self.weight = [(rank + 1) ** -0.75 for rank in range(accounts)]
        rnd.shuffle(self.weight)
        top = max(self.weight)
        self.start = [0 if rnd.random() < 0.4 else rnd.randrange(days - YOUNGEST_DAYS) for _ in range(accounts)]
        self.seats = [1 + int(40 * (weight / top) ** 0.5 * rnd.random()) + rnd.randrange(3) for weight in self.weight]
        stretches = days // STRETCH_DAYS + 2
        self.level = [[rnd.choice(LEVELS) for _ in range(stretches)] for _ in range(accounts)]
        self.phase = [rnd.randrange(STRETCH_DAYS) for _ in range(accounts)]
        self.breadth = [rnd.choice(BREADTHS) for _ in range(accounts)]
        self.order = [rnd.sample(range(len(SHARES)), len(SHARES)) for _ in range(ORDERS)]

    def cumulated(self, day: int) -> list[float]:
        """Per account how much activity of the day falls to it and those before it."""
        shares, total = [], 0.0
        for account, weight in enumerate(self.weight):
            if day >= self.start[account]:
                stretch = (day + self.phase[account]) // STRETCH_DAYS
                total += weight * (2.0 if day == self.start[account] else self.level[account][stretch])
            shares.append(total)
        return shares


def iso(at_ms: int) -> str:
    """The time as events carry it."""
    day, rest = divmod(at_ms - START_MS, DAY_MS)
    day += 1
    month, day = (3, day) if day <= 31 else (4, day - 31)
    second, milli = divmod(rest, 1000)
    return f"2026-{month:02d}-{day:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{milli:03d}Z"


def events(count: int, *, accounts: int = 10_000, days: int = 30, seed: int = 7) -> Iterator[Event]:
    """`count` events over `days` days."""
    if not YOUNGEST_DAYS < days <= DAYS_MAX:
        raise ValueError(f"between {YOUNGEST_DAYS + 1} and {DAYS_MAX} days")
    rnd = random.Random(f"pegel-peers-{seed}")  # noqa: S311 - no secret
    population = Accounts(rnd, accounts, days)
    names, number = list(SHARES), 0
    for day in range(days):
        shares = population.cumulated(day)
        of_day = count * (day + 1) // days - count * day // days
        for rest in sorted(rnd.randrange(DAY_MS) for _ in range(of_day)):
            account = min(bisect(shares, rnd.random() * shares[-1]), accounts - 1)
            known = population.order[account % ORDERS][: population.breadth[account]]
            name = _event_name(rnd, known, names)
            user = int(population.seats[account] * rnd.random() ** 2)
            at_ms = START_MS + day * DAY_MS + rest
            yield Event(f"acct-{account}", at_ms, _body(number, rnd.getrandbits(64), account, user, name, at_ms))
            number += 1


def _event_name(rnd: random.Random, known: list[int], names: list[str]) -> str:
    if rnd.random() >= 0.7:
        return "page_viewed"
    return names[rnd.choices(known, [SHARES[names[one]] for one in known])[0]]


def _body(number: int, bits: int, account: int, user: int, name: str, at_ms: int) -> str:
    message_id = (
        f"{number:08x}-{bits >> 48:04x}-4{bits >> 36 & 0xFFF:03x}-9{bits >> 24 & 0xFFF:03x}-"
        f"{number & 0xFFFF:04x}{bits & 0xFFFFFFFF:08x}"
    )
    return (
        f'{{"type":"track","messageId":"{message_id}",'
        f'"userId":"u{account}-{user}","event":"{name}","timestamp":"{iso(at_ms)}",'
        f'"context":{{"groupId":"acct-{account}"}},'
        f'"properties":{{"source":"web","duration_ms":{bits & 0xFFF},"plan":"team"}}}}'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    with chosen.file.open("w", encoding="utf-8") as out:
        made = events(chosen.events, accounts=chosen.accounts, days=chosen.days, seed=chosen.seed)
        out.writelines(f"{event.account}\t{event.body}\n" for event in islice(made, chosen.events))


if __name__ == "__main__":
    main()
