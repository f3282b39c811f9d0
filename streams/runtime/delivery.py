"""Which of the fetched records go to the stages next.

Theory of operation. A fetch fills the shelves of the partitions that asked for records. From there records go on as
``alignment.py`` allows, the partition furthest behind first. The agent applies batches in the order in which they are
handed out, whatever their partition, so the order of handing out is the order of work. A stage that wants no alignment
gets everything at once, by the same way.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Final

from streams import log_events
from streams.runtime.alignment import IDLE_S, Allowance, Place, Reason, allowances, is_history, overlooked
from streams.runtime.assignment import Assignment
from streams.runtime.partition import Batch, Partition

UNDER_WAY_POLL_S: Final = 0.001
IDLE_POLL_S: Final = 0.02

WAITING: Final = frozenset({Reason.AHEAD, Reason.UNCOMMITTED, Reason.UNKNOWN})


class Delivery:
    """Hands out batches of the partitions of one worker. Lives in the event loop's thread."""

    def __init__(
        self,
        assignment: Assignment,
        clock: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._assignment = assignment
        self._clock = clock
        self._wall_ms = wall_ms
        self._overlooked: set[int] = set()
        self._history_from_s = self._history_at_s = -inf
        """When history began to come, and was seen last."""
        self.waits_for_commit = False
        """The last release ended because a partition may not go on before another one commits."""

    def release(self) -> Iterator[Batch]:
        """Hand out all that may be handed out now."""
        while True:
            allowed = self._allowances()
            ready = next(((partition, one) for partition, one in allowed if _may_go(partition, one)), None)
            if ready is None:
                self._note(allowed)
                return
            partition, allowance = ready
            yield partition.release(allowance.until_ms)

    def ready(self) -> bool:
        """Say whether ``release`` would hand out anything."""
        return any(_may_go(partition, one) for partition, one in self._allowances())

    async def make_way(self) -> None:
        """Let partitions commit that others wait for, once what they were handed is applied."""
        if not self.waits_for_commit:
            return
        active = self._assignment.active()
        if any(partition.under_way for partition in active):
            await asyncio.sleep(UNDER_WAY_POLL_S)
        elif not await self._assignment.flush_moved():
            await asyncio.sleep(IDLE_POLL_S)  # it is waited for more records, not for a commit

    def _allowances(self) -> list[tuple[Partition, Allowance]]:
        now_s, now_ms = self._clock(), self._wall_ms()
        active = {partition.number: partition for partition in self._assignment.active()}
        places = [partition.place(now_s) for partition in active.values()]
        alignment = self._assignment.alignment
        if alignment is not None:
            self._count_overlooked({place.number for place in places if overlooked(place)})
            if any(is_history(place, now_ms) for place in places):
                places = self._in_history(places, now_s)
        return [(active[one.number], one) for one in allowances(places, alignment, now_ms)]

    def _in_history(self, places: list[Place], now_s: float) -> list[Place]:
        if now_s - self._history_at_s > IDLE_S:
            self._history_from_s = now_s
        self._history_at_s = now_s
        since_s = now_s - self._history_from_s
        return [replace(place, silent_s=min(place.silent_s, since_s)) for place in places]

    def _note(self, allowed: list[tuple[Partition, Allowance]]) -> None:
        for partition, allowance in allowed:
            partition.waits_for_others = allowance.reason in WAITING
        self.waits_for_commit = any(one.reason is Reason.UNCOMMITTED for _, one in allowed)

    def _count_overlooked(self, numbers: set[int]) -> None:
        for number in numbers - self._overlooked:
            if (partition := self._assignment.get(number)) is not None:
                partition.times_overlooked += 1
                log_events.OVERLOOKED.tell(partition=number)
        self._overlooked = numbers


def _may_go(partition: Partition, allowance: Allowance) -> bool:
    return allowance.passes and partition.has_room()
