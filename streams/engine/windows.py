"""Figures over windows of days that end today or some days before, kept up to date by additions instead of recounts.

Theory of operation. A window of `days` days, shifted back by `before`, holds the days of ages `before` to
`before + days - 1`; today has age 0. The windows that a catalog's rules read are known when it is compiled, so each has
its place in one list of numbers per account (`Windows.values`), which rules read by index. There are two kinds:

* *sums* of a figure that the account counts by day: the score, activity, days with activity, events of a name. An
  event adds to the windows that hold its day (`Figure.holding`, by age). A new day lets one day into a window and
  another out of it; windows that touch share that edge, so a day's number is looked up once per edge (`Figure.edges`);
* *distinct* counts, in windows that end today: how many things have their last day in each, kept with how many things
  have their last day on which day. A thing that is seen again moves, a new day lets one day's things out.

The numbers are 64 bits wide, which nothing checks on the way: a day holds no more than events of the greatest weight,
and nine thousand million of those in 92 days would be needed to leave them.

All can be rebuilt from the account's state at any time, and a test holds the two equal.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from librt.vecs import vec
from mypy_extensions import i64

from streams.engine.shared import shared
from streams.limits import RETENTION_DAYS

Window = tuple[int, int]
"""`days` and `before`."""

SCORE: Final = 0
ACTIVITY: Final = 1
ACTIVE_DAYS: Final = 2
NAMED: Final = 3
"""Figures by number; from `NAMED` on events of a name, in the order of `Slots.events`."""

USERS: Final = 0
TEAMS: Final = 1
CORES: Final = 2
"""Kinds of distinct things."""

_STEPS_MAX: Final = 3
"""Days that are taken one by one; to go further it is cheaper to sum anew."""


class Figure:
    """The windows of one figure, which stand together from `first` to before `past`.

    `holding[age]` lists the places of those that hold a day of this age. `edges` are the ages that a day reaches when
    a window takes it in or lets it go: the age, the places that take it in, those that let it go. With `once` a day
    counts 1, however much there is on it.
    """

    __slots__ = ("edges", "first", "holding", "once", "past")

    def __init__(self, windows: Sequence[Window], first: int, *, once: bool) -> None:
        self.first = first
        self.past = first + len(windows)
        self.once = once
        places = range(first, self.past)
        self.holding: list[list[int]] = [
            [place for place, (days, before) in zip(places, windows, strict=True) if before <= age < before + days]
            for age in range(RETENTION_DAYS)
        ]
        ages = sorted({before for _, before in windows} | {before + days for days, before in windows})
        self.edges: list[tuple[int, list[int], list[int]]] = [
            (
                age,
                [place for place, (_, before) in zip(places, windows, strict=True) if before == age],
                [place for place, (days, before) in zip(places, windows, strict=True) if before + days == age],
            )
            for age in ages
        ]


class WindowPlan:
    """Where each window stands: first those of each figure, then those of each kind of distinct things."""

    __slots__ = ("_parent", "_picks", "distinct", "figures", "lengths", "size", "sums", "windows")

    def __init__(self, sums: Sequence[Iterable[Window]], distinct: Sequence[Iterable[int]]) -> None:
        """`sums`: the windows of each figure, by its number; `distinct`: lengths in days of each kind."""
        self.windows: list[tuple[Window, ...]] = [tuple(sorted(set(windows))) for windows in sums]
        self.lengths: list[tuple[int, ...]] = [tuple(sorted(set(lengths))) for lengths in distinct]
        self.figures: list[Figure] = []
        first = 0
        for number, windows in enumerate(self.windows):
            self.figures.append(Figure(windows, first, once=number == ACTIVE_DAYS))
            first += len(windows)
        self.sums = first
        self.distinct: list[int] = []
        for lengths in self.lengths:
            self.distinct.append(first)
            first += len(lengths)
        self.size = first
        self._parent: WindowPlan | None = None
        self._picks: list[int] = []

    def place_of_sum(self, figure: int, window: Window) -> int:
        return self.figures[figure].first + self.windows[figure].index(window)

    def place_of_distinct(self, kind: int, days: int) -> int:
        return self.distinct[kind] + self.lengths[kind].index(days)

    def picks(self, parent: "WindowPlan", figures: Sequence[int]) -> list[int]:
        """The places that these windows have in a plan that has them all; `figures`: the numbers there of those here.

        A plan is cut from one and the same parent, which is why the answer is kept.
        """
        if self._parent is not parent:
            places = [
                parent.place_of_sum(figures[number], window)
                for number, windows in enumerate(self.windows)
                for window in windows
            ]
            places += [
                parent.place_of_distinct(kind, days) for kind, lengths in enumerate(self.lengths) for days in lengths
            ]
            self._parent, self._picks = parent, places
        return self._picks


class Windows:
    """The numbers of one account. `values` is one list for life: who has it may keep it. The rest is for copies."""

    __slots__ = ("days", "on_day", "plan", "values")

    values: vec[i64]

    def __init__(
        self,
        plan: WindowPlan,
        days: list[dict[int, int]],
        last_days: Sequence[Iterable[int]],
        today: int,
        source: "Windows | None" = None,
        figures: Sequence[int] = (),
    ) -> None:
        """`days`: each figure's numbers by day, which the caller keeps; `last_days`: of each kind of distinct things.

        With `source` a copy of it for windows that are among its own; `figures` as in `WindowPlan.picks`. A copy shares
        what it reads, and may be rolled but see nothing.
        """
        self.plan = plan
        if source is not None:
            held = source.values
            self.values = vec[i64]([held[place] for place in plan.picks(source.plan, figures)])
            self.days: list[dict[int, int]] = [source.days[figure] for figure in figures]
            self.on_day: list[dict[int, int]] = [*source.on_day]
            return
        self.values = vec[i64]([0] * plan.size)
        self.days = days
        self.on_day = []
        for figure in range(len(days)):
            self._sum_anew(figure, today)
        for kind in range(len(last_days)):
            self.on_day.append(_NOTHING)
            self.recount(kind, last_days[kind], today)

    def roll(self, before: int, today: int) -> None:
        """Go on from the day `before` to `today`."""
        step = today - before <= _STEPS_MAX
        plan = self.plan
        if plan.sums:
            for number in range(len(self.days)):
                if not step:
                    self._sum_anew(number, today)
                elif self.days[number]:
                    self._step(number, before, today)
        if plan.size > plan.sums:
            for kind in range(len(self.on_day)):
                if not step:
                    self._count_anew(kind, today)
                elif self.on_day[kind]:
                    self._let_out(kind, before, today)

    # Sums

    def add(self, figure: int, age: int, amount: i64) -> None:
        """Add to the day of this age, which is in reach."""
        values = self.values
        for place in self.plan.figures[figure].holding[age]:
            held = values[place]
            values[place] = held + amount

    def follow(self, figure: int, days: dict[int, int], today: int) -> None:
        """From here on the figure's numbers are these."""
        self.days[figure] = days
        self._sum_anew(figure, today)

    def _step(self, number: int, before: int, today: int) -> None:
        figure, days, values = self.plan.figures[number], self.days[number], self.values
        for day in range(before + 1, today + 1):
            for age, taking, losing in figure.edges:
                counted = days.get(day - age)
                if counted is not None:
                    amount: i64 = 1 if figure.once else counted
                    for place in taking:
                        held = values[place]
                        values[place] = held + amount
                    for place in losing:
                        held = values[place]
                        values[place] = held - amount

    def _sum_anew(self, number: int, today: int) -> None:
        figure, values = self.plan.figures[number], self.values
        if figure.first == figure.past:
            return
        for place in range(figure.first, figure.past):
            values[place] = 0
        days, holding, once = self.days[number], figure.holding, figure.once
        if not days:
            return
        for day, counted in days.items():
            age = today - day
            if 0 <= age < RETENTION_DAYS:
                amount: i64 = 1 if once else counted
                for place in holding[age]:
                    held = values[place]
                    values[place] = held + amount

    # Distinct things

    def see(self, kind: int, known: int | None, day: int, today: int) -> None:
        """Something whose last day was `known` is seen on `day`, which is later."""
        lengths = self.plan.lengths[kind]
        if not lengths:
            return
        on_day = self.on_day[kind]
        if known is not None:
            left = on_day.get(known, 0) - 1
            if left > 0:
                on_day[known] = left
            else:
                on_day.pop(known, None)
        there: dict[Any, int] = on_day
        there[shared(day)] = on_day.get(day, 0) + 1
        values, place = self.values, self.plan.distinct[kind]
        for length in lengths:
            start = today - length
            if (known is None or known <= start) and start < day:
                held = values[place]
                values[place] = held + 1
            place += 1

    def recount(self, kind: int, last_days: Iterable[int], today: int) -> None:
        """Count anew: some were evicted or forgotten."""
        if not self.plan.lengths[kind]:
            return
        on_day: dict[int, int] = {}
        for day in last_days:
            on_day[day] = on_day.get(day, 0) + 1
        self.on_day[kind] = on_day
        self._count_anew(kind, today)

    def _let_out(self, kind: int, before: int, today: int) -> None:
        values, on_day, place = self.values, self.on_day[kind], self.plan.distinct[kind]
        for length in self.plan.lengths[kind]:
            for day in range(before - length + 1, today - length + 1):
                gone = on_day.get(day)
                if gone is not None:
                    held = values[place]
                    values[place] = held - gone
            place += 1

    def _count_anew(self, kind: int, today: int) -> None:
        place, on_day = self.plan.distinct[kind], self.on_day[kind]
        for length in self.plan.lengths[kind]:
            start, things = today - length, i64(0)
            for day, there in on_day.items():
                if day > start:
                    things += there
            self.values[place] = things
            place += 1


_NOTHING: Final[dict[int, int]] = {}
"""Where no window asks: kept by all, written by none."""
