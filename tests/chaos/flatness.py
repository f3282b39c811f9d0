"""Whether a series of samples is flat: the decision of the soak, without its processes.

Theory of operation. Only the last half of a run counts: before it, caches fill, pages are touched for the first time
and state grows to its bounds. Growth is the Theil-Sen slope (the median of the slopes between all pairs of samples)
times the length of the series: unlike a least-squares line it does not follow a few peaks, such as those of a load of
state. A leak that matters over days is a few bytes an event and shows as a steady rise; what is allowed is what the
allocator's fragments do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

SAMPLES_MAX: Final = 400
"""Pairs are counted in squares; a longer series is thinned."""
MEMORY_SHARE_MAX: Final = 0.03
MEMORY_FLOOR_KB: Final = 6_000
HANDLES_MAX: Final = 3
"""Files and threads come and go with connections; a leak goes past any few."""


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    memory_kb: int
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Growth:
    """Over a series of so many seconds."""

    seconds: float
    memory_kb: float
    memory_median_kb: float
    files: float
    threads: float

    @property
    def leaks(self) -> tuple[str, ...]:
        """What is not flat, in words; empty if everything is."""
        allowed_kb = max(MEMORY_FLOOR_KB, MEMORY_SHARE_MAX * self.memory_median_kb)
        return tuple(
            f"{name} grew by {growth:.0f} in {self.seconds:.0f} s; {allowed:.0f} is allowed"
            for name, growth, allowed in (
                ("memory (KB)", self.memory_kb, allowed_kb),
                ("open files", self.files, HANDLES_MAX),
                ("threads", self.threads, HANDLES_MAX),
            )
            if growth > allowed
        )


def growth(samples: Sequence[Sample]) -> Growth:
    thinned = samples[:: max(1, len(samples) // SAMPLES_MAX)]
    at_s = [one.at_s for one in thinned]
    seconds = at_s[-1] - at_s[0]

    def grown(values: Sequence[float]) -> float:
        return theil_sen(at_s, values) * seconds

    return Growth(
        seconds,
        grown([one.memory_kb for one in thinned]),
        median(one.memory_kb for one in thinned),
        grown([one.files for one in thinned]),
        grown([one.threads for one in thinned]),
    )


def theil_sen(xs: Sequence[float], ys: Sequence[float]) -> float:
    slopes = [
        (ys[later] - ys[earlier]) / (xs[later] - xs[earlier])
        for later in range(len(xs))
        for earlier in range(later)
        if xs[later] > xs[earlier]
    ]
    return median(slopes) if slopes else 0.0
