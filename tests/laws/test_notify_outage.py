"""A destination that is dead for two days while transitions go on: what it costs the others, memory, and people.

In simulated time, with the real stages, planner and couriers; the changelog is a dictionary. `measured` is what was run
once with 100,000 transitions; docs/operations.md says what came of it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind, ok
from streams.notify.courier import stage
from streams.notify.courier.outbox import window_max
from tests.unit.notify.harness import FakeConnector, FakeDestination, Harness, playbooks
from tests.unit.notify.world import raw

HOUR_MS = 3_600_000
OUTAGE_MS = 48 * HOUR_MS
ACCOUNTS = 500
RATE_PER_S = 20.0
LOOK_MS = 50


@dataclass
class Seen:
    """What one destination was sent: when, and how late."""

    sent_ms: list[int] = field(default_factory=list)
    late_ms: list[int] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Outage:
    def __init__(self, count: int, names: Sequence[str], **destination: Any) -> None:
        self.count = count
        self.born_ms: list[int] = []
        self.seen = {name: Seen() for name in names}
        self.h = Harness({name: FakeConnector(self._answer(name)) for name in names}, playbooks(names=names))
        self.began_ms = self.h.clock.now_ms
        for name in names:
            self.h.books.destinations[name] = FakeDestination(  # type: ignore[index]
                id=name, type="fake", in_flight_max=4, rate_per_s=RATE_PER_S, **(destination if name == "dead" else {})
            )
        self.in_memory_max = 0

    def _answer(self, name: str) -> Any:
        def answer(message: Message) -> Outcome:
            now_ms = self.h.clock.now_ms
            if name == "dead" and now_ms < self.began_ms + OUTAGE_MS:
                return Outcome(OutcomeKind.RETRY_DESTINATION, "503")
            seen = self.seen[name]
            seen.kinds[message.kind] += 1
            for item in message.items:
                number = int(item["sequence"])
                seen.told.append((item["account_id"], number))
                seen.late_ms.append(now_ms - self.born_ms[number])
            seen.sent_ms.append(now_ms)
            return ok()

        return answer

    async def run(self, steps: int, drain_ms: int) -> None:
        """The outage in so many steps, and some time after it."""
        each, made = -(-self.count // steps), 0
        async with self.h.worker(max_age_h=None):
            for _ in range(steps):
                numbers = range(made, min(made + each, self.count))
                made += len(numbers)
                self.born_ms += [self.h.clock.now_ms] * len(numbers)
                self.h.write(*(raw(account=f"a{number % ACCOUNTS}", sequence=number) for number in numbers))
                self.h.read(most=len(self.h.log))
                until_ms = self.h.clock.now_ms + OUTAGE_MS // steps
                await self._pass()
                while self.h.stage.posts["well"].outbox.in_memory:
                    await self._pass(LOOK_MS)
                await self._pass(until_ms - self.h.clock.now_ms)
            end_ms = self.h.clock.now_ms + drain_ms
            while self._waits() and self.h.clock.now_ms < end_ms:
                await self._pass(LOOK_MS)

    def _waits(self) -> bool:
        return any(len(post.outbox) or post.planner.waiting for post in self.h.stage.posts.values())

    async def _pass(self, after_ms: int = 0) -> None:
        await self.h.turn(after_ms)
        self.h.flush()
        self.h.outputs.clear()
        posts = self.h.stage.posts.values()
        self.in_memory_max = max(self.in_memory_max, *(post.outbox.in_memory for post in posts))


def require_order(seen: Seen) -> None:
    told: dict[str, list[int]] = defaultdict(list)
    for account, number in seen.told:
        told[account].append(number)
    for numbers in told.values():
        assert numbers == sorted(set(numbers))


def test_a_destination_that_is_dead_for_two_days_costs_bounded_memory_and_nobody_else_and_catches_up_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "window_max", lambda _: 300)
    asyncio.run(_hold(3_000, steps=240, in_memory_max=300))


async def _hold(count: int, steps: int, in_memory_max: int) -> Outage:
    alone, both = Outage(count, ["well"]), Outage(count, ["well", "dead"])
    await alone.run(steps, HOUR_MS)
    await both.run(steps, 24 * HOUR_MS)
    assert both.seen["well"].late_ms == alone.seen["well"].late_ms
    dead = both.seen["dead"]
    assert sorted(number for _, number in dead.told) == list(range(count)), "nothing lost, nothing twice"
    require_order(dead)
    assert both.in_memory_max <= in_memory_max
    seconds = [ms // 1_000 for ms in dead.sent_ms]
    assert max(seconds.count(second) for second in set(seconds)) <= 2 * RATE_PER_S
    return both


def test_where_messages_are_grouped_people_find_digests_after_an_outage_and_no_flood() -> None:
    count = 2_000
    grouped = Outage(count, ["well", "dead"], group={"wait_s": 30, "interval_s": 3_600, "by": ["segment"], "max": 20})
    asyncio.run(grouped.run(480, 24 * HOUR_MS))
    dead = grouped.seen["dead"]
    assert dead.kinds[MessageKind.DIGEST] >= 40
    assert len(dead.sent_ms) <= OUTAGE_MS // HOUR_MS + 2
    assert grouped.h.delivery_rows() == {}


def measured(count: int = 100_000) -> None:
    """Print what the outage costs."""
    began = time.process_time()
    asyncio.run(Outage(count, ["well"]).run(2_880, HOUR_MS))
    alone_s = time.process_time() - began
    both = asyncio.run(_hold(count, 2_880, window_max(2)))
    both_s = time.process_time() - began - 2 * alone_s
    dead = both.seen["dead"]
    gaps = [later - earlier for earlier, later in pairwise(dead.sent_ms)]
    print(  # noqa: T201 - a measurement
        f"{count} transitions: alone {alone_s:.1f} s of CPU, with the dead one {both_s:.1f} s; at most "
        f"{both.in_memory_max} deliveries in memory, {len(both.h.stage._background._readings.wanted)} readings; "  # type: ignore[attr-defined]
        f"drained in {(dead.sent_ms[-1] - dead.sent_ms[0]) / HOUR_MS:.2f} h, smallest gap {min(gaps)} ms"
    )
