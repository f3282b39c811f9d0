"""All accounts in order, by one definition after the other: kept from look to look, so a look moves those who moved."""

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Any, Final

from mypy_extensions import i64

from streams.engine.population import PERCENTILES

_FEW: Final = 16
"""Of so many accounts one may move by itself; of fewer it is cheaper to order all anew."""

Place = tuple[Any, str]
"""A key (`ranking`) and whose it is."""


class Column:
    """All whose key of one definition is known, in order. `gone` and `come` are what the latest look moved."""

    __slots__ = ("_percentiles", "_places", "come", "gone")

    def __init__(self) -> None:
        self.gone: list[Place] = []
        self.come: list[Place] = []
        self._places: list[Place] = []
        self._percentiles: list[Any] | None = None

    def move(self, gone: list[Place], come: list[Place]) -> None:
        """Take those places away, and put these in."""
        self.gone, self.come = gone, come
        if not gone and not come:
            return
        self._percentiles = None
        places = self._places
        if (len(gone) + len(come)) * _FEW > len(places):
            left = {account_id for _, account_id in gone}
            self._places = [place for place in places if place[1] not in left] + come
            self._places.sort()
            return
        for place in gone:
            del places[bisect_left(places, place)]
        for place in come:
            insort(places, place)

    def percentiles(self) -> list[Any]:
        """The percentiles 0 to 100; empty if nothing is known."""
        found, places = self._percentiles, self._places
        if found is None:
            found = self._percentiles = []
            count = i64(len(places))
            if count:
                for percent in range(i64(PERCENTILES)):
                    found.append(places[min(count - 1, percent * count // 100)][0])
        return found

    def between(self, one: Any, other: Any) -> list[str]:
        """Whose keys reach one of two keys and not the other."""
        places = self._places
        low, high = (one, other) if one < other else (other, one)
        return [account_id for _, account_id in places[bisect_left(places, (low,)) : bisect_left(places, (high,))]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has found; `first` if all that stood in the columns before is not to count any more."""

    columns: list[Column]
    first: bool
