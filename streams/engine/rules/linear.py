"""Values that move with time, and when a comparison of them changes by itself.

since() and until() are linear in now; sums, multiples, min, max and abs of them are piecewise linear. A `Line` is such
a value around one moment: its value there, its slope per millisecond, and how long it stays this very line. Two lines
cross at one computed moment, give or take the rounding of floats; so the exact millisecond is found by asking the rule
itself at the few moments around it. The rule in floats stays the only judge, as it is when the moment comes.

The comparison of since(x) or until(x) with a constant is by far the most frequent: it is compiled to one comparison of
integers (`Boundary`), exactly equal to the float comparison because division by a day's length is monotone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streams.engine.calendar import DAY_MS

NEVER: Final = 1 << 62  # a deadline that does not come, in ms
_AROUND_MS: Final = 2


@dataclass(frozen=True, slots=True)
class Boundary:
    """`now < x + offset_ms` (early) or `now >= x + offset_ms`; with x unknown, the constant `unknown`."""

    offset_ms: int
    early: bool
    unknown: bool


def boundary(function: str, symbol: str, days: float) -> Boundary:
    """The integer form of `since(x) symbol days` or `until(x) symbol days`, for symbol one of < <= > >=."""
    delta = _first_delta(days, strictly=symbol in ("<=", ">"))
    below = symbol in ("<", "<=")
    if function == "since":
        return Boundary(delta, early=below, unknown=not below)
    return Boundary(1 - delta, early=not below, unknown=not below)


def _first_delta(days: float, *, strictly: bool) -> int:
    """The least whole number of ms whose length in days, as a float, is >= days (or > days, if strictly)."""

    def reached(delta: int) -> bool:
        return delta / DAY_MS > days if strictly else delta / DAY_MS >= days

    delta = math.ceil(days * DAY_MS)
    while reached(delta - 1):
        delta -= 1
    while not reached(delta):
        delta += 1
    return delta


@dataclass(frozen=True, slots=True)
class Line:
    """`value + slope * (now' - now)` for now' up to `until_ms` after now; slope in units per ms."""

    value: float
    slope: float
    until_ms: float = math.inf


def constant(value: float | None) -> Line | None:
    return None if value is None else Line(value, 0.0)


def since(time_ms: int | None, now: int) -> Line:
    return Line(math.inf, 0.0) if time_ms is None else Line((now - time_ms) / DAY_MS, 1 / DAY_MS)


def until(time_ms: int | None, now: int) -> Line:
    return Line(math.inf, 0.0) if time_ms is None else Line((time_ms - now) / DAY_MS, -1 / DAY_MS)


def negate(line: Line | None) -> Line | None:
    return None if line is None else Line(-line.value, -line.slope, line.until_ms)


def arithmetic(symbol: str, left: Line | None, right: Line | None) -> Line | None:
    """Sum, difference, product or quotient, of which at most one side moves (the parser sees to that)."""
    if left is None or right is None:
        return None
    until_ms = min(left.until_ms, right.until_ms)
    match symbol:
        case "+":
            return Line(left.value + right.value, left.slope + right.slope, until_ms)
        case "-":
            return Line(left.value - right.value, left.slope - right.slope, until_ms)
        case "*":
            slope = left.slope * right.value if left.slope else right.slope * left.value
            return Line(left.value * right.value, slope, until_ms)
        case _:
            return None if right.value == 0 else Line(left.value / right.value, left.slope / right.value, until_ms)


def extreme(name: str, *lines: Line | None) -> Line | None:
    """min, max or abs."""
    known = [line for line in lines if line is not None]
    if len(known) < len(lines):
        return None
    if name == "abs":
        known.append(Line(-known[0].value, -known[0].slope, known[0].until_ms))
        name = "max"
    sign = 1 if name == "min" else -1
    best = min(known, key=lambda line: (sign * line.value, sign * line.slope))
    until_ms = min(line.until_ms for line in known)
    for line in known:
        crossing = _crossing_ms(best, line)
        if crossing is not None:
            until_ms = min(until_ms, crossing)
    return Line(best.value, best.slope, until_ms)


def default(first: Line | None, second: Line | None) -> Line | None:
    return second if first is None else first


def _crossing_ms(one: Line, other: Line) -> float | None:
    """How long until the two lines are equal: 0 or more, or None if they never will be."""
    slope = one.slope - other.slope
    if slope == 0 or not math.isfinite(one.value - other.value):
        return None
    after = (other.value - one.value) / slope
    return after if after >= 0 and math.isfinite(after) else None


def next_flip(now: int, left: Line | None, right: Line | None, holds: Callable[[int], bool]) -> int:
    """The next moment at which `holds` may change, given that its sides are these lines now; `NEVER` if none.

    If the sides cross within their present pieces, the first ms around the crossing at which `holds` differs from now
    is returned. Else the end of a piece, where the caller will ask again.
    """
    if left is None or right is None:
        return NEVER
    piece_ms = min(left.until_ms, right.until_ms)
    crossing = _crossing_ms(left, right)
    if crossing is not None and crossing <= piece_ms + _AROUND_MS and now + crossing < NEVER:
        at = holds(now)
        middle = now + math.floor(crossing)
        for moment in range(max(now + 1, middle - _AROUND_MS), middle + _AROUND_MS + 2):
            if holds(moment) != at:
                return moment
    # Rounding may put the end of a piece a little early: go past it, never before the next ms.
    return now + max(1, math.ceil(piece_ms)) if now + piece_ms < NEVER else NEVER
