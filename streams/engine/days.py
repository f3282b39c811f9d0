"""How much was counted on which day, in one block of memory.

Theory of operation. A number of 64 bits says it for one day: the day above, the count in the lowest `COUNT_BITS`. They
ascend, so the latest day stands at the end: where nearly every event is counted, and where a window begins. A day is
within a few steps of the end or found by halving; to copy, store and load them all is to go through them once.

Days before every window are dropped when a later day begins, so there are never more than `RETENTION_DAYS` of them,
but for those that were loaded with more.
"""

from collections.abc import Mapping
from typing import Final

from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from streams.limits import RETENTION_DAYS

COUNT_BITS: Final = 40
COUNT_MAX: Final = (1 << COUNT_BITS) - 1
"""Per day: twelve million events a second."""
DAY_MAX: Final = (1 << 63 - COUNT_BITS) - 1
"""Some 22,000 years from 1970, in both directions."""


@mypyc_attr(acyclic=True)
class Days:  # noqa: PLW1641 - it changes
    """How much on which day."""

    __slots__ = ("packed",)

    packed: vec[i64]

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.packed = vec[i64]()
        if counts:
            for day in sorted(counts):
                self.take(day, counts[day])

    def take(self, day: i64, count: i64) -> None:
        """Take over the count of a day that is later than all."""
        self.packed = append(self.packed, (day << COUNT_BITS) + count)

    def add(self, day: i64, amount: i64) -> i64:
        """Count more on a day; returns its place."""
        packed = self.packed
        place = i64(len(packed)) - 1
        while place >= 0:
            held = packed[place]
            known = held >> COUNT_BITS
            if known == day:
                packed[place] = held + amount
                return place
            if known < day:
                break
            place -= 1
        return self._begin(place + 1, day, amount)

    def _begin(self, place: i64, day: i64, amount: i64) -> i64:
        """A day that was not there, at this place."""
        self.packed = append(self.packed, (day << COUNT_BITS) + amount)
        packed = self.packed
        end = i64(len(packed)) - 1
        if place < end:
            while end > place:
                packed[end] = packed[end - 1]
                end -= 1
            packed[place] = (day << COUNT_BITS) + amount
        return place

    def outdated(self) -> i64:
        """How many days are before every window that ends on the latest day or later."""
        packed = self.packed
        past = i64(len(packed))
        if past == 0:
            return 0
        oldest = (packed[past - 1] >> COUNT_BITS) - RETENTION_DAYS
        found: i64 = 0
        while packed[found] >> COUNT_BITS <= oldest:
            found += 1
        return found

    def drop(self, places: i64) -> None:
        """Forget so many days, the earliest."""
        self.packed = self.packed[places:]

    def remove(self, day: i64) -> None:
        """Count one less on a day that is there; a day of nothing goes."""
        place = self.place_of(day)
        if place < 0:
            return
        packed = self.packed
        if packed[place] & COUNT_MAX > 1:
            packed[place] -= 1
            return
        kept = vec[i64]()
        for other in range(i64(len(packed))):
            if other != place:
                kept = append(kept, packed[other])
        self.packed = kept

    def place_of(self, day: i64) -> i64:
        """The place of a day, -1 if nothing was counted on it."""
        packed = self.packed
        low: i64 = 0
        past = i64(len(packed))
        while low < past:
            middle = (low + past) >> 1
            known = packed[middle] >> COUNT_BITS
            if known == day:
                return middle
            if known < day:
                low = middle + 1
            else:
                past = middle
        return -1

    def on(self, day: i64) -> i64:
        """How much was counted on a day."""
        place = self.place_of(day)
        return 0 if place < 0 else self.packed[place] & COUNT_MAX

    def counts(self) -> dict[int, int]:
        """All of it, by day."""
        return {one >> COUNT_BITS: one & COUNT_MAX for one in self.packed}

    def __len__(self) -> int:
        return len(self.packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Days) and self.packed == other.packed
