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
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from streams.engine.account import Activity
from streams.engine.days import COUNT_BITS, COUNT_MAX, DAY_MAX, Days
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

    `holding` lists, age after age, the places of those that hold a day of this age: from `held_from[age]` to before
    `held_from[age + 1]`. `edges` are the ages that a day reaches when a window takes it in or lets it go, ascending;
    from `moved_from[n]` on `moved` lists the places that the edge of number n concerns: those that take the day in,
    then from `lost_from[n]` on those that let it go.
    """

    __slots__ = ("edges", "first", "held_from", "holding", "lost_from", "moved", "moved_from", "past")

    edges: vec[i64]
    held_from: vec[i64]
    holding: vec[i64]
    lost_from: vec[i64]
    moved: vec[i64]
    moved_from: vec[i64]
    first: i64
    past: i64

    def __init__(self, windows: Sequence[Window], first: int) -> None:
        self.first = first
        self.past = first + len(windows)
        placed = list(enumerate(windows, first))
        holding: list[int] = []
        held_from = [0]
        for age in range(RETENTION_DAYS):
            holding += [place for place, (days, before) in placed if before <= age < before + days]
            held_from.append(len(holding))
        edges = sorted({before for _, before in windows} | {before + days for days, before in windows})
        moved: list[int] = []
        moved_from, lost_from = [0], list[int]()
        for age in edges:
            moved += [place for place, (_, before) in placed if before == age]
            lost_from.append(len(moved))
            moved += [place for place, (days, before) in placed if before + days == age]
            moved_from.append(len(moved))
        self.holding, self.held_from = vec[i64](holding), vec[i64](held_from)
        self.edges, self.moved = vec[i64](edges), vec[i64](moved)
        self.moved_from, self.lost_from = vec[i64](moved_from), vec[i64](lost_from)


class WindowPlan:
    """Where each window stands: first those of each figure, then those of each kind of distinct things."""

    __slots__ = ("_parent", "_picks", "distinct", "figures", "lengths", "size", "sums", "windows")

    def __init__(self, sums: Sequence[Iterable[Window]], distinct: Sequence[Iterable[int]]) -> None:
        """`sums`: the windows of each figure, by its number; `distinct`: lengths in days of each kind."""
        self.windows: list[tuple[Window, ...]] = [tuple(sorted(set(windows))) for windows in sums]
        self.lengths: list[tuple[int, ...]] = [tuple(sorted(set(lengths))) for lengths in distinct]
        self.figures: list[Figure] = []
        first = 0
        for windows in self.windows:
            self.figures.append(Figure(windows, first))
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
        return int(self.figures[figure].first) + self.windows[figure].index(window)

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


@mypyc_attr(acyclic=True)
class Windows:
    """The numbers of one account. `values` is one list for life: who has it may keep it. The rest is for copies."""

    __slots__ = ("counted", "last_days", "plan", "values")

    values: vec[i64]

    def __init__(
        self,
        plan: WindowPlan,
        counted: list[Days],
        today: i64,
        source: "Windows | None" = None,
        figures: Sequence[int] = (),
    ) -> None:
        """`counted`: what each figure sums, which the caller keeps. Distinct things are counted by `recount`.

        With `source` a copy of it for windows that are among its own; `figures` as in `WindowPlan.picks`. A copy shares
        what it reads, and may be rolled but see nothing.
        """
        self.plan = plan
        if source is not None:
            held = source.values
            self.values = vec[i64]([held[place] for place in plan.picks(source.plan, figures)])
            self.counted: list[Days] = [source.counted[figure] for figure in figures]
            self.last_days: list[Days] = source.last_days
            return
        self.values = vec[i64]([0] * plan.size)
        self.counted = counted
        self.last_days = [NOTHING] * len(plan.lengths)
        for figure in range(len(counted)):
            self._sum_anew(figure, today)

    def roll(self, before: i64, today: i64) -> None:
        """Go on from the day `before` to `today`."""
        step = today - before <= _STEPS_MAX
        plan = self.plan
        if plan.sums:
            for number in range(len(self.counted)):
                if step:
                    self._step(number, before, today)
                else:
                    self._sum_anew(number, today)
        if plan.size > plan.sums:
            for kind in range(len(self.last_days)):
                if step:
                    self._let_out(kind, before, today)
                else:
                    self._count_anew(kind, today)

    # Sums

    def add(self, figure: int, age: i64, amount: i64) -> None:
        """Add to the day of this age, which is in reach."""
        values, asked = self.values, self.plan.figures[figure]
        holding, held_from = asked.holding, asked.held_from
        for index in range(held_from[age], held_from[age + 1]):
            values[holding[index]] += amount

    def follow(self, figure: int, counted: Days, today: i64) -> None:
        """From here on the figure's numbers are these."""
        self.counted[figure] = counted
        self._sum_anew(figure, today)

    def _step(self, number: int, before: i64, today: i64) -> None:
        """Go through the edges from the youngest, and through the days from the latest, side by side."""
        figure, counted, values = self.plan.figures[number], self.counted[number], self.values
        packed, edges, moved = counted.packed, figure.edges, figure.moved
        places = i64(len(packed))
        if places == 0:
            return
        for day in range(before + 1, today + 1):
            place = places - 1
            for edge in range(i64(len(edges))):
                wanted = day - edges[edge]
                while place >= 0 and packed[place] >> COUNT_BITS > wanted:
                    place -= 1
                if place < 0:
                    break
                if packed[place] >> COUNT_BITS == wanted:
                    amount = _amount(number, counted, place)
                    lost_from = figure.lost_from[edge]
                    for index in range(figure.moved_from[edge], lost_from):
                        values[moved[index]] += amount
                    for index in range(lost_from, figure.moved_from[edge + 1]):
                        values[moved[index]] -= amount

    def _sum_anew(self, number: int, today: i64) -> None:
        figure, counted, values = self.plan.figures[number], self.counted[number], self.values
        if figure.first == figure.past:
            return
        for window in range(figure.first, figure.past):
            values[window] = 0
        packed, holding, held_from = counted.packed, figure.holding, figure.held_from
        place = i64(len(packed)) - 1
        while place >= 0:
            age = today - (packed[place] >> COUNT_BITS)
            if age >= RETENTION_DAYS:
                break
            if age >= 0:
                amount = _amount(number, counted, place)
                for index in range(held_from[age], held_from[age + 1]):
                    values[holding[index]] += amount
            place -= 1

    # Distinct things

    def see(self, kind: int, known: int | None, day: i64, today: i64) -> None:
        """Something whose last day was `known` is seen on `day`, which is later."""
        lengths = self.plan.lengths[kind]
        if not lengths:
            return
        last_days = self.last_days[kind]
        known_day: i64 = NO_DAY if known is None else known
        if known_day > NO_DAY:
            last_days.remove(known_day)
        last_days.add(day, 1)
        values, place = self.values, i64(self.plan.distinct[kind])
        for length in lengths:
            start = today - length
            if known_day <= start < day:
                values[place] += 1
            place += 1

    def recount(self, kind: int, last_days: vec[i64], today: i64) -> None:
        """Count things of a kind anew by their last days, `NO_DAY` of one that was never seen."""
        if not self.plan.lengths[kind]:
            return
        counted = self.last_days[kind] = Days()
        for place in range(i64(len(last_days))):
            if last_days[place] > NO_DAY:
                counted.add(last_days[place], 1)
        self._count_anew(kind, today)

    def _let_out(self, kind: int, before: i64, today: i64) -> None:
        last_days = self.last_days[kind]
        if not len(last_days.packed):
            return
        values, place = self.values, i64(self.plan.distinct[kind])
        for length in self.plan.lengths[kind]:
            for day in range(before - length + 1, today - length + 1):
                values[place] -= last_days.on(day)
            place += 1

    def _count_anew(self, kind: int, today: i64) -> None:
        place, packed = i64(self.plan.distinct[kind]), self.last_days[kind].packed
        for length in self.plan.lengths[kind]:
            start, things = today - length, i64(0)
            day = i64(len(packed)) - 1
            while day >= 0 and packed[day] >> COUNT_BITS > start:
                things += packed[day] & COUNT_MAX
                day -= 1
            self.values[place] = things
            place += 1


def _amount(number: int, counted: Days, place: i64) -> i64:
    """What a figure has on the day at a place."""
    if number == ACTIVE_DAYS:
        return 1
    if number == SCORE and isinstance(counted, Activity):
        return counted.scores[place]
    return counted.packed[place] & COUNT_MAX


NOTHING: Final = Days()
"""Where no window asks, or nothing was counted: kept by all, written by none."""
NO_DAY: Final = -DAY_MAX
"""A day before every other."""
