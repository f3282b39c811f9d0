"""How long an hour is: windows, `for` and ages all come from here, so that a rehearsal can run them faster.

What scales is how long something may last: windows, how long a condition must hold, how old something may become, and
how many occurrences a window must have seen. What does not: how fast one thing must be (a flush, a transition) and
shares. The names of recorded series keep the window at factor 1.
"""

from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_UNITS: Final = (("d", DAY * 1_000), ("h", HOUR * 1_000), ("m", MINUTE * 1_000), ("s", 1_000))


@dataclass(frozen=True, slots=True)
class Pace:
    """`factor` 1: as deployed. 1/60: what takes an hour takes a minute, but no window is below `window_min_s`."""

    factor: float = 1.0
    window_min_s: float = 0.0
    """Several scrapes must fall into a window, at any pace."""

    def __post_init__(self) -> None:
        if self.factor <= 0:
            raise ValueError(f"factor {self.factor}: time goes forward; give a number above 0")

    def window(self, seconds: float) -> str:
        """A range, as PromQL writes it."""
        return duration(max(seconds * self.factor, self.window_min_s))

    def hold(self, seconds: float) -> str:
        """How long a condition must hold."""
        return duration(seconds * self.factor)

    def age_s(self, seconds: float) -> str:
        """How old something may become, in seconds."""
        return number(seconds * self.factor)

    def volume(self, count: float) -> str:
        """How many a window must have seen for its share to mean something; one at least."""
        return number(max(1.0, count * self.factor))


def duration(seconds: float) -> str:
    """The largest unit that goes into it."""
    milliseconds = round(seconds * 1_000)
    for unit, size in _UNITS:
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def number(value: float) -> str:
    return f"{value:.6g}" if value < 1e5 else str(round(value))
