"""Which windowed readings the rules of a catalog ask for: what the working set of an account has to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.engine.rules.expression import Node, Term
from streams.engine.rules.vocabulary import ALL_ACTIVITY
from streams.engine.windows import WindowPlan


@dataclass(frozen=True)
class Slots:
    """Positions are indexes into the working set's lists."""

    events: tuple[str, ...]  # names counted in windows
    users: tuple[int, ...]  # window lengths in days
    teams: tuple[int, ...]
    cores: tuple[int, ...]
    score: WindowPlan
    activity: WindowPlan
    named: tuple[WindowPlan, ...]  # of each of `events`
    sequences: tuple[tuple[str, str, int], ...]  # (a, b, within_ms)
    edges: int  # bit o is set: activity of a day changes some window o days later
    edge_days: tuple[tuple[int, int], ...]  # each such o, ascending, and the mask of the days before it
    reach: int  # days back that any window reaches
    ranked: Mapping[str, tuple[int, ...]]  # definitions by which accounts are ranked -> the percentiles asked for

    @staticmethod
    def of(nodes: Sequence[Node]) -> "Slots":
        terms = [term for node in nodes for term in node.terms()]
        windowed = [term for term in terms if term.days]
        edges = 0
        for term in windowed:
            edges |= 1 << (term.before + term.days)
            if term.before:
                edges |= 1 << term.before

        def lengths(name: str) -> tuple[int, ...]:
            return tuple(sorted({term.days for term in windowed if term.name == name}))

        def windows(name: str, event: str) -> WindowPlan:
            return WindowPlan((t.days, t.before) for t in windowed if t.name == name and t.event == event)

        events = tuple(sorted({t.event for t in windowed if t.name == "count" and t.event != ALL_ACTIVITY}))
        return Slots(
            events=events,
            score=windows("score", ""),
            activity=windows("count", ALL_ACTIVITY),
            named=tuple(windows("count", event) for event in events),
            users=lengths("active_users"),
            teams=lengths("teams"),
            cores=lengths("core_features"),
            sequences=tuple(sorted({(t.event, t.other, t.within_ms) for t in terms if t.name == "sequence"})),
            edges=edges,
            edge_days=tuple((o, (1 << o) - 1) for o in range(edges.bit_length()) if edges >> o & 1),
            ranked=_ranked(terms),
            reach=max((term.before + term.days for term in windowed), default=0),
        )


def _ranked(terms: Sequence[Term]) -> dict[str, tuple[int, ...]]:
    asked = {(term.event, term.percent) for term in terms if term.name == "threshold"}
    return {name: tuple(sorted(p for other, p in asked if other == name)) for name in sorted({n for n, _ in asked})}
