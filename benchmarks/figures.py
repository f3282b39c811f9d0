"""What a row is, and what it found."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.rig import Rig


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity; `runs` has its value in each run."""

    what: str
    unit: str
    runs: tuple[float, ...]
    target: float | None = None
    stretch: float | None = None
    more_is_better: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What was seen with it: broker's share, rates, counts."""

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        if self.stretch is not None and self._holds(self.stretch):
            return "stretch met"
        return "met" if self._holds(self.target) else "missed"

    def _holds(self, bound: float) -> bool:
        return self.median >= bound if self.more_is_better else self.median <= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it. A row reads what concerns it."""

    runs: int = 1
    events: int = 0
    accounts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    title: str
    how: str
    full: Size
    quick: Size
    """Enough to see that the row works; the figures say nothing."""
    measure: "Callable[[Rig, Size], list[Figure]]"
