"""Figures over windows of days that end today or some days before, kept up to date by additions instead of recounts.

Theory of operation. A window of `days` days, shifted back by `before`, holds the days of ages `before` to
`before + days - 1`; today has age 0. The windows that a catalog's rules read are known when it is compiled, so

* `Sums` keeps one number per window. An event adds to the windows that hold its day (`WindowPlan.holding`, by age); a
  new day lets one day into each window and another out of it, read from the account's own counts by day;
* `Distinct` keeps, per window that ends today, how many things have their last day in it, and how many things have
  their last day on which day: a thing that is seen again moves, a new day lets one day's things out.

Both can be rebuilt from the account's state at any time, and a test holds the two equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from streams.limits import RETENTION_DAYS

Window = tuple[int, int]
"""`days` and `before`."""

_STEPS_MAX: Final = 3
"""Days that are taken one by one; to go further it is cheaper to sum anew."""


class WindowPlan:
    """The windows of one figure. `holding[age]` lists the places of those that hold a day of this age."""

    __slots__ = ("holding", "place", "windows")

    def __init__(self, windows: Iterable[Window]) -> None:
        self.windows: tuple[Window, ...] = tuple(sorted(set(windows)))
        self.place: dict[Window, int] = {window: place for place, window in enumerate(self.windows)}
        self.holding: tuple[tuple[int, ...], ...] = tuple(
            tuple(place for place, (days, before) in enumerate(self.windows) if before <= age < before + days)
            for age in range(RETENTION_DAYS)
        )


class Sums:
    """One number per window of a plan; `days` is the account's own count by day, which the caller keeps."""

    __slots__ = ("_days", "_plan", "values")

    def __init__(self, plan: WindowPlan, days: Mapping[int, int], today: int) -> None:
        self._plan = plan
        self._days = days
        self.values: list[int] = []
        self._sum_anew(today)

    def add(self, age: int, amount: int) -> None:
        """Add to the day of this age, which is in reach."""
        values = self.values
        for place in self._plan.holding[age]:
            values[place] += amount

    def roll(self, before: int, today: int) -> None:
        """Go on from the day `before` to `today`."""
        if today - before > _STEPS_MAX:
            self._sum_anew(today)
            return
        values, days = self.values, self._days
        for place, (length, shift) in enumerate(self._plan.windows):
            value = values[place]
            for day in range(before + 1 - shift, today + 1 - shift):
                value += days.get(day, 0) - days.get(day - length, 0)
            values[place] = value

    def ahead(self, plan: WindowPlan) -> "Sums":
        """A copy for windows that are among these."""
        copy = Sums(_NO_WINDOWS, self._days, 0)
        copy._plan = plan
        place = self._plan.place
        copy.values = [self.values[place[window]] for window in plan.windows]
        return copy

    def _sum_anew(self, today: int) -> None:
        holding = self._plan.holding
        values = [0] * len(self._plan.windows)
        if values:
            for day, amount in self._days.items():
                age = today - day
                if 0 <= age < RETENTION_DAYS:
                    for place in holding[age]:
                        values[place] += amount
        self.values = values


class Distinct:
    """How many things have their last day in each of the windows that end today; `lengths` in days."""

    __slots__ = ("_lengths", "_on_day", "counts")

    def __init__(self, lengths: Sequence[int], last_days: Iterable[int], today: int) -> None:
        self._lengths: tuple[int, ...] = tuple(lengths)
        self._on_day: dict[int, int] = {}
        if lengths:
            for day in last_days:
                self._on_day[day] = self._on_day.get(day, 0) + 1
        self.counts: list[int] = []
        self._count_anew(today)

    def see(self, known: int | None, day: int, today: int) -> None:
        """Something whose last day was `known` is seen on `day`, which is later."""
        if not self._lengths:
            return
        on_day = self._on_day
        if known is not None:
            left = on_day.get(known, 0) - 1
            if left > 0:
                on_day[known] = left
            else:
                on_day.pop(known, None)
        on_day[day] = on_day.get(day, 0) + 1
        counts = self.counts
        for place, length in enumerate(self._lengths):
            start = today - length
            if (known is None or known <= start) and start < day:
                counts[place] += 1

    def roll(self, before: int, today: int) -> None:
        """Go on from the day `before` to `today`."""
        if today - before > _STEPS_MAX:
            self._count_anew(today)
            return
        counts, on_day = self.counts, self._on_day
        for place, length in enumerate(self._lengths):
            for day in range(before - length + 1, today - length + 1):
                counts[place] -= on_day.get(day, 0)

    def ahead(self, lengths: Sequence[int]) -> "Distinct":
        """A copy for windows that are among these. It shares what it reads, and may be rolled but see nothing."""
        copy = Distinct((), (), 0)
        copy._on_day = self._on_day
        copy._lengths = tuple(lengths)
        copy.counts = [self.counts[self._lengths.index(length)] for length in lengths]
        return copy

    def _count_anew(self, today: int) -> None:
        on_day = self._on_day
        self.counts = [
            sum([things for day, things in on_day.items() if day > today - length]) for length in self._lengths
        ]


_NO_WINDOWS: Final = WindowPlan(())
