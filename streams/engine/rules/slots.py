"""Which windowed readings the rules of a catalog ask for: what the working set of an account has to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from streams.engine.rules.expression import Node, Term
from streams.engine.rules.vocabulary import ALL_ACTIVITY
from streams.engine.windows import NAMED, Window, WindowPlan
from streams.limits import RETENTION_DAYS

SUMS: Final = (("score", ""), ("count", ALL_ACTIVITY), ("active_days", ""))
"""Readings that are sums, by the number of their figure; after them come events of a name."""
DISTINCT: Final = ("active_users", "teams", "core_features")
"""Readings that count distinct things, by the number of their kind."""


_HALF: Final = RETENTION_DAYS // 2
_LOW: Final = (1 << _HALF) - 1


@final
class Edges:
    """The ages at which a day changes some window. Days are bits by age, in halves that fit a register."""

    __slots__ = ("_ages", "_high", "_low")

    _ages: vec[i64]
    _high: vec[i64]
    _low: vec[i64]

    def __init__(self, edges: int) -> None:
        """`edges`: as bits by age."""
        ages = [age for age in range(edges.bit_length()) if edges >> age & 1]
        self._ages = vec[i64](ages)
        self._low = vec[i64]([(1 << age) - 1 & _LOW for age in ages])
        self._high = vec[i64]([(1 << age) - 1 >> _HALF for age in ages])

    def ahead(self, days: int) -> int:
        """In how many days the first of these days comes to an edge; 0 if none will."""
        low: i64 = days & _LOW
        high: i64 = days >> _HALF
        ages, lower, higher = self._ages, self._low, self._high
        first: i64 = 0
        count: i64 = len(ages)
        for place in range(count):
            # The oldest day on this side of an edge is the first to come to it.
            younger = high & higher[place]
            length: i64 = _HALF
            if younger == 0:
                younger = low & lower[place]
                length = 0
                if younger == 0:
                    continue
            bits: int = younger
            length += bits.bit_length()
            ahead = ages[place] + 1 - length
            if first == 0 or ahead < first:
                first = ahead
        return first


@dataclass(frozen=True)
class Slots:
    """`plan` says where each window stands among the working set's values."""

    events: tuple[str, ...]  # names counted in windows
    plan: WindowPlan
    sequences: tuple[tuple[str, str, int], ...]  # (a, b, within_ms)
    edges: int  # bit o is set: activity of a day changes some window o days later
    edges_ahead: Edges  # the same
    reach: int  # days back that any window reaches
    ranked: Mapping[str, tuple[int, ...]]  # definitions by which accounts are ranked -> the percentiles asked for

    def figure_of(self, term: Term) -> int:
        """The number of the figure that a reading sums."""
        asked = (term.name, term.event)
        return SUMS.index(asked) if asked in SUMS else NAMED + self.events.index(term.event)

    def figures_in(self, whole: "Slots") -> list[int]:
        """The numbers that its figures have among slots that have them all."""
        return [*range(NAMED), *[NAMED + whole.events.index(event) for event in self.events]]

    @staticmethod
    def of(nodes: Sequence[Node]) -> "Slots":
        terms = [term for node in nodes for term in node.terms()]
        windowed = [term for term in terms if term.days]
        edges = 0
        for term in windowed:
            edges |= 1 << (term.before + term.days)
            if term.before:
                edges |= 1 << term.before

        def windows(name: str, event: str) -> list[Window]:
            return [(t.days, t.before) for t in windowed if t.name == name and t.event == event]

        events = tuple(sorted({t.event for t in windowed if t.name == "count" and t.event != ALL_ACTIVITY}))
        figures = [*SUMS, *(("count", event) for event in events)]
        distinct = [[days for days, _ in windows(name, "")] for name in DISTINCT]
        return Slots(
            events=events,
            plan=WindowPlan([windows(*figure) for figure in figures], distinct),
            sequences=tuple(sorted({(t.event, t.other, t.within_ms) for t in terms if t.name == "sequence"})),
            edges=edges,
            edges_ahead=Edges(edges),
            ranked=_ranked(terms),
            reach=max((term.before + term.days for term in windowed), default=0),
        )


def sequence_key(first: str, second: str, within_ms: int) -> str:
    """Under which an account remembers the latest pair of two events."""
    return f"{within_ms}:{first}\n{second}"


def _ranked(terms: Sequence[Term]) -> dict[str, tuple[int, ...]]:
    asked = {(term.event, term.percent) for term in terms if term.name == "threshold"}
    return {name: tuple(sorted(p for other, p in asked if other == name)) for name in sorted({n for n, _ in asked})}
