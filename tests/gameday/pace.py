"""What a time that was seen at a quicker pace means where time goes as usual."""

from dataclasses import dataclass

MINUTE = 60
HOUR = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Real:
    """Between so many seconds and so many."""

    least_s: float
    most_s: float

    def __str__(self) -> str:
        least, most = spoken(self.least_s), spoken(self.most_s)
        return least if least == most else f"{least} to {most}"


def at_real_pace(seen_s: float, held_s: float, factor: float) -> Real:
    """`held_s`: of the alert at the usual pace, `for` and the age that it waits for; both are known to scale.

    What is left - noticing, scrapes, a window that fills up - scales between not at all and wholly.
    """
    rest_s = max(0.0, seen_s - held_s * factor)
    return Real(held_s + rest_s, held_s + rest_s / factor)


def spoken(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 100 * MINUTE else f"{seconds / HOUR:.1f} h"
