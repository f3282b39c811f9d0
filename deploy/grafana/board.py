"""What a board is made of. Values only: how Grafana draws it is said in `draw`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WINDOW: Final = "$__rate_interval"
"""Grafana's word for a window that has some scrapes in it at every zoom."""


COLUMNS: Final = 24


class Kind(StrEnum):
    NUMBER = "number"
    """One figure now, coloured by its limits."""
    LINES = "lines"
    BARS = "bars"
    """Now, a bar for each."""
    HEAT = "heat"
    """Of a histogram: how many fell into each bucket, over time."""


class Unit(StrEnum):
    """Grafana's names."""

    SECONDS = "s"
    BYTES = "bytes"
    RATIO = "percentunit"
    COUNT = "short"
    PER_SECOND = "cps"
    EVENTS_PER_SECOND = "eps"
    TIMES = "none"


@dataclass(frozen=True, slots=True)
class Query:
    """`rare`: there may be nothing to show where all is well, or where a service is not in use."""

    expr: str
    legend: str = ""
    rare: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """From `warn` on it is not well, from `bad` on it is bad; the other way round where less is worse."""

    bad: float
    warn: float | None = None
    less_is_worse: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A question, the queries that answer it, and how to read the answer."""

    title: str
    description: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    limits: Limits | None = None
    width: int = 8
    stacked: bool = False
    words: tuple[tuple[float, str], ...] = ()
    """What some values mean."""
    named: bool = False
    """A number that says nothing: the legend is the answer."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]

    @property
    def lines(self) -> Iterator[list[Panel]]:
        """The panels that stand side by side."""
        line: list[Panel] = []
        for panel in self.panels:
            line.append(panel)
            if sum(one.width for one in line) >= COLUMNS:
                yield line
                line = []
        assert not line, f"{self.title}: the last line is not full"


@dataclass(frozen=True, slots=True)
class Board:
    uid: str
    title: str
    description: str
    rows: Sequence[Row]

    @property
    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Events a second, added up."""
    chosen = f"{{{where}}}" if where else ""
    return f"sum{_by(by)} (rate({metric}{chosen}[{WINDOW}]))"


def quantile(share: float, histogram: str, by: str = "", where: str = "") -> str:
    chosen = f"{{{where}}}" if where else ""
    series = f"rate({histogram}_bucket{chosen}[{WINDOW}])"
    return f"histogram_quantile({share:g}, sum by ({', '.join(filter(None, ('le', by)))}) ({series}))"


def ours(expr: str) -> str:
    """Of a series that every process has, those of Pegel's processes."""
    return f"{expr} and on (job, instance) pegel_build_info"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
