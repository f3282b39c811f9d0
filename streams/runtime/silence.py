"""For how long no broker has answered about a partition. Looked at from outside, as the watchdog does it.

A partition that is asked for hears from its leader several times a second, with records or without. What is not asked
for - it is being loaded, or what it brought has to wait - owes no answer.
"""

import time
from collections.abc import Callable, Iterable

from streams.runtime.partition import Partition


class Silence:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[int, tuple[int | None, float]] = {}
        """By partition: its last answer, and when that was new."""

    def longest_s(self, partitions: Iterable[Partition]) -> float:
        """Of the partition that waits longest; 0 where none is asked for."""
        now_s, before = self._clock(), self._heard
        self._heard = {}
        for one in partitions:
            if one.active and not one.held_back:
                answer, since_s = before.get(one.number, (None, now_s))
                self._heard[one.number] = (one.heard_at, since_s if answer == one.heard_at else now_s)
        return max((now_s - since_s for _, since_s in self._heard.values()), default=0.0)
