"""Which windowed readings the rules of a catalog ask for: what the working set of an account has to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streams.engine.rules.expression import Node, Term
from streams.engine.rules.vocabulary import ALL_ACTIVITY
from streams.engine.windows import NAMED, Window, WindowPlan

SUMS: Final = (("score", ""), ("count", ALL_ACTIVITY), ("active_days", ""))
"""Readings that are sums, by the number of their figure; after them come events of a name."""
DISTINCT: Final = ("active_users", "teams", "core_features")
"""Readings that count distinct things, by the number of their kind."""


@dataclass(frozen=True)
class Slots:
    """`plan` says where each window stands among the working set's values."""

    events: tuple[str, ...]  # names counted in windows
    plan: WindowPlan
    sequences: tuple[tuple[str, str, int], ...]  # (a, b, within_ms)
    edges: int  # bit o is set: activity of a day changes some window o days later
    edge_days: tuple[tuple[int, int], ...]  # each such o, ascending, and the mask of the days before it
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
            edge_days=tuple((o, (1 << o) - 1) for o in range(edges.bit_length()) if edges >> o & 1),
            ranked=_ranked(terms),
            reach=max((term.before + term.days for term in windowed), default=0),
        )


def sequence_key(first: str, second: str, within_ms: int) -> str:
    """Under which an account remembers the latest pair of two events."""
    return f"{within_ms}:{first}\n{second}"


def _ranked(terms: Sequence[Term]) -> dict[str, tuple[int, ...]]:
    asked = {(term.event, term.percent) for term in terms if term.name == "threshold"}
    return {name: tuple(sorted(p for other, p in asked if other == name)) for name in sorted({n for n, _ in asked})}
