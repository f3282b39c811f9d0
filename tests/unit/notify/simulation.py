"""A destination and its dispatch in simulated time: seeded, so that every run can be repeated exactly."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from schemas.action import ActionOutcome
from schemas.playbook import Destination
from streams.connectors.outcome import Outcome
from streams.notify.deliver.breaker import BreakerState
from streams.notify.deliver.dispatch import Dispatch, Settled, Start
from streams.notify.plan.delivery import Delivery
from tests.unit.notify.world import NOW_MS

Answer = Callable[[int, Delivery], tuple[Outcome, int]]
"""From the time and the delivery: what the destination says, and after how many ms."""


@dataclass(frozen=True)
class Attempt:
    at_ms: int
    delivery: Delivery
    probe: bool


class Simulation:
    def __init__(
        self, destination: Destination, answer: Answer, *, batch_max: int = 1, latest_wins: bool = False
    ) -> None:
        self.dispatch = Dispatch(destination, batch_max=batch_max, latest_wins=latest_wins)
        self.now_ms = NOW_MS
        self.attempts: list[Attempt] = []
        self.settled: dict[str, Settled] = {}
        self.delivered: list[tuple[int, Delivery]] = []
        self._answer = answer
        self.outdated: list[Delivery] = []
        self._under_way: list[tuple[int, int, Start, list[Outcome]]] = []
        self._arrivals: list[tuple[int, int, Delivery]] = []
        self._number = itertools.count()

    def offer(self, delivery: Delivery, at_ms: int | None = None) -> None:
        heapq.heappush(self._arrivals, (at_ms or self.now_ms, next(self._number), delivery))

    def run(self, until_ms: int) -> None:
        """Until then, or until nothing is left to do."""
        while True:
            self._start()
            times = [queue[0][0] for queue in (self._under_way, self._arrivals) if queue]
            wake_ms = self.dispatch.wake_ms(self.now_ms)
            if wake_ms is not None:
                times.append(max(int(-(-wake_ms // 1)), self.now_ms + 1))
            if not times or min(times) > until_ms:
                self.now_ms = until_ms
                return
            self.now_ms = max(self.now_ms, min(times))
            self._end()

    def _start(self) -> None:
        while self._arrivals and self._arrivals[0][0] <= self.now_ms:
            outdated = self.dispatch.offer(heapq.heappop(self._arrivals)[2], self.now_ms)
            if outdated is not None:
                self.outdated.append(outdated)
        while (start := self.dispatch.next(self.now_ms)) is not None:
            self._check_start(start)
            answers = [self._answer(self.now_ms, one) for one in start.deliveries]
            self.attempts += (Attempt(self.now_ms, one, start.probe) for one in start.deliveries)
            outcomes, after_ms = [outcome for outcome, _ in answers], max(after_ms for _, after_ms in answers)
            heapq.heappush(self._under_way, (self.now_ms + after_ms, next(self._number), start, outcomes))
        for settled in self.dispatch.overdue(self.now_ms):
            self._settle(settled)

    def _end(self) -> None:
        while self._under_way and self._under_way[0][0] <= self.now_ms:
            _, _, start, outcomes = heapq.heappop(self._under_way)
            for settled in self.dispatch.concluded(start, outcomes, self.now_ms):
                if settled.verdict.final:
                    self._settle(settled)

    def _settle(self, settled: Settled) -> None:
        assert settled.delivery.delivery_id not in self.settled, "settled twice"
        self.settled[settled.delivery.delivery_id] = settled
        if settled.verdict.outcome is ActionOutcome.DELIVERED:
            self.delivered.append((self.now_ms, settled.delivery))

    def _check_start(self, start: Start) -> None:
        """Laws that hold at every start."""
        accounts = [one.news.account_id for _, _, other, _ in self._under_way for one in other.deliveries]
        accounts += [one.news.account_id for one in start.deliveries]
        assert len(set(accounts)) == len(accounts), "two of one account under way"
        assert len(start.deliveries) == 1 or not start.probe
        assert len(self._under_way) < self.dispatch.destination.in_flight_max
        assert start.probe == (self.dispatch.breaker.state is BreakerState.PROBING)

    def check_order(self) -> None:
        """Each account was told in the order of its transitions."""
        told: dict[str, list[int]] = defaultdict(list)
        for _, delivery in self.delivered:
            told[delivery.news.account_id].append(delivery.source.offset)
        for offsets in told.values():
            assert offsets == sorted(offsets)
