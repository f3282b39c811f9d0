"""Where an account stands among all: percentiles of the definitions that rules rank by, once a day.

Percentile q of n values is the value at index floor(q/100 * n) of the ascending list (the last one for q = 100). So
`top_percent(m, p)`, which is m >= percentile (100 - p), holds for the p % highest of n distinct values (n * p / 100,
rounded up), and a quintile holds a fifth of them. Ties count as in. An account whose value is unknown has no rank.

A value that moves with time alone, as recency does, moves alike for all accounts and changes nobody's position. So what
is ranked is computed as of the moment of the percentiles, in the percentiles and wherever it is compared with them:
between two looks at the population only an account's own records change its rank.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

PERCENTILES: Final = 101
UNKNOWN: Final = -1
NO_CUTS: Final = -2

Ranks = tuple[int, ...]
Values = tuple[Any, ...]  # what an account is ranked by, in the order of the program's definitions


@final
class Thresholds:  # noqa: PLW1641 - compared, but no key of anything
    """The percentiles 0 to 100 of each ranked definition, as of `at_ms`; empty where no account has a value."""

    __slots__ = ("at_ms", "percentiles")

    def __init__(self, at_ms: int, percentiles: dict[str, list[float]]) -> None:
        self.at_ms = at_ms
        self.percentiles: Final = percentiles

    def percentile(self, definition: str, percent: int) -> Any:
        """One of them; None if it is not known."""
        found = self.percentiles.get(definition)
        return found[percent] if found else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thresholds) and self.at_ms == other.at_ms and self.percentiles == other.percentiles

    def __repr__(self) -> str:
        return f"Thresholds({self.at_ms}, {self.percentiles})"


NO_THRESHOLDS: Final = Thresholds(0, {})


def percentiles_of(values: Iterable[float]) -> list[float]:
    """The percentiles 0 to 100 of the values; empty if there are none."""
    ranked = sorted(values)
    count = len(ranked)
    return [ranked[min(count - 1, percent * count // 100)] for percent in range(PERCENTILES)] if ranked else []


def cuts_of(thresholds: Thresholds, asked: Mapping[str, Sequence[int]]) -> list[list[Any]]:
    """Of each definition the percentiles that some rule asks for, ascending; none where there are no percentiles."""
    known = thresholds.percentiles
    return [[known[name][percent] for percent in asked[name]] if known.get(name) else [] for name in asked]


def ranks_of(values: Values, cuts: list[list[Any]]) -> Ranks:
    """How many of the cuts each value reaches: accounts of equal ranks are equal for every rule.

    To reach none of them is not what it is to have none: the lowest quintile is 1, without percentiles it is 0.
    """
    assert len(values) == len(cuts), "of the same definitions"
    return tuple([_rank(values[place], cuts[place]) for place in range(len(cuts))])


def _rank(value: Any, cut: list[Any]) -> int:
    if not cut:
        return NO_CUTS
    if value is None:
        return UNKNOWN
    rank = 0
    for limit in cut:  # they are few
        if value < limit:
            break
        rank += 1
    return rank
