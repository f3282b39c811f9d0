"""Values that move with time, and when a comparison of them changes by itself.

since() and until() are linear in now; sums, multiples, min, max and abs of them are piecewise linear. A `Line` is such
a value around one moment: its value there, its slope per millisecond, and how long it stays this very line. Two lines
cross at one computed moment, give or take the rounding of floats; so the exact millisecond is found by asking for the
two sides themselves at the moments around it. They are few but for very large values, whose floats are coarser than a
millisecond. The rule in floats stays the only judge, as it is when the moment comes.

The comparison of since(x) or until(x) with a constant is by far the most frequent: it is compiled to one comparison of
integers (`Boundary`), exactly equal to the float comparison because division by a day's length is monotone.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from streams.engine.calendar import DAY_MS
from streams.engine.rules.values import compare_moving

NEVER: Final = 1 << 61  # a deadline that does not come, in ms; a number that compiled code keeps in a register
_AROUND_MS: Final = 2
_ROUNDING: Final = 2.0**-45  # more than all operations of a rule can be off together, relative to their largest value
_BLUR_MAX_MS: Final = 1 << 50
_SCANNED_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Boundary:
    """`now < x + offset_ms` (early) or `now >= x + offset_ms`; with x unknown, the constant `unknown`."""

    offset_ms: int
    early: bool
    unknown: bool


def quotient(dividend: int, divisor: int) -> float:
    """Correctly rounded, also beyond 2^53."""
    return dividend / divisor


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

    guess = math.ceil(days * DAY_MS)
    rounding = 2 + (abs(guess) >> 50)  # more than the product and the quotient can be off together
    around = range(guess - rounding, guess + rounding + 1)
    return around[bisect_left(around, x=True, key=reached)]


@dataclass(frozen=True, slots=True)
class Line:
    """`value + slope * (now' - now)` for now' up to `until_ms` after now; slope in units per ms.

    `size` and `steepness` bound what it was computed from, values and slopes, for they say how coarse its floats are.
    """

    value: float
    slope: float
    size: float
    steepness: float
    until_ms: float = math.inf


def constant(value: float | None) -> Line | None:
    return None if value is None else Line(float(value), 0.0, abs(float(value)), 0.0)


def since(time_ms: int | None, now: int) -> Line:
    return _UNKNOWN_AGE if time_ms is None else _age((now - time_ms) / DAY_MS, 1 / DAY_MS)


def until(time_ms: int | None, now: int) -> Line:
    return _UNKNOWN_AGE if time_ms is None else _age((time_ms - now) / DAY_MS, -1 / DAY_MS)


_UNKNOWN_AGE: Final = Line(math.inf, 0.0, math.inf, 0.0)


def _age(value: float, slope: float) -> Line:
    return Line(value, slope, abs(value), abs(slope))


def negate(line: Line | None) -> Line | None:
    return None if line is None else Line(-line.value, -line.slope, line.size, line.steepness, line.until_ms)


def arithmetic(symbol: str, left: Line | None, right: Line | None) -> Line | None:
    """Sum, difference, product or quotient, of which at most one side moves (the parser sees to that)."""
    if left is None or right is None:
        return None
    if symbol == "*":
        moving, factor = (left, right) if left.slope else (right, left)
        return _scaled(moving, factor.value, moving.value * factor.value, min(left.until_ms, right.until_ms))
    if symbol == "/":
        if right.value == 0:
            return None
        return _scaled(left, 1 / right.value, left.value / right.value, min(left.until_ms, right.until_ms))
    sign = 1 if symbol == "+" else -1
    return Line(
        value=left.value + sign * right.value,
        slope=left.slope + sign * right.slope,
        size=left.size + right.size,
        steepness=left.steepness + right.steepness,
        until_ms=min(left.until_ms, right.until_ms),
    )


def _scaled(line: Line, factor: float, value: float, until_ms: float) -> Line:
    return Line(value, line.slope * factor, line.size * abs(factor), line.steepness * abs(factor), until_ms)


def extreme(name: str, *lines: Line | None) -> Line | None:
    """min, max or abs."""
    known = [line for line in lines if line is not None]
    if len(known) < len(lines):
        return None
    if name == "abs":
        (inner,) = known
        known.append(Line(-inner.value, -inner.slope, inner.size, inner.steepness, inner.until_ms))
        name = "max"
    sign = 1 if name == "min" else -1
    best = min(known, key=lambda line: (sign * line.value, sign * line.slope))
    until_ms = min(line.until_ms for line in known)
    for line in known:
        crossing = _crossing_ms(best, line)
        if crossing:  # at 0 they part, and the best is best from here on
            until_ms = min(until_ms, crossing)
    return Line(best.value, best.slope, best.size, best.steepness, until_ms)


def default(first: Line | None, second: Line | None) -> Line | None:
    return second if first is None else first


def _crossing_ms(one: Line, other: Line) -> float | None:
    """How long until the two lines are equal: 0 or more, or None if they never will be."""
    slope = one.slope - other.slope
    if slope == 0 or not math.isfinite(one.value - other.value):
        return None
    after = (other.value - one.value) / slope
    return after if after >= 0 and math.isfinite(after) else None


def next_flip(now: int, left: Line | None, right: Line | None, sides: Callable[[int], tuple[Any, Any]]) -> int:
    """The next moment at which a comparison of two sides may change, which are these lines now; `NEVER` if none.

    If they cross within their present pieces, the first ms at which the order of the sides is not what it is now is
    returned. Else the end of a piece, where the caller will ask again.
    """
    if left is None or right is None:
        return NEVER
    piece_ms = min(left.until_ms, right.until_ms)
    crossing = _crossing_ms(left, right)
    if crossing is not None and now + crossing < NEVER:
        blur = _blur_ms(left, right, crossing)
        if crossing <= piece_ms + blur:
            order = _order(*sides(now))
            first = max(now + 1, now + math.floor(crossing) - blur)
            end = now + math.floor(min(crossing + blur, piece_ms + _AROUND_MS)) + 2
            found = _first(range(first, max(first, end)), lambda moment: _order(*sides(moment)) != order)
            if found is not None:
                return found
    # Rounding may put the end of a piece a little early: go past it, never before the next ms.
    return now + max(1, math.ceil(piece_ms)) if now + piece_ms < NEVER else NEVER


def _blur_ms(left: Line, right: Line, crossing: float) -> int:
    """How far from the computed crossing the sides may cross in floats."""
    size = left.size + right.size + (left.steepness + right.steepness) * crossing
    blur = size * _ROUNDING / abs(left.slope - right.slope)
    return _AROUND_MS + (math.ceil(blur) if blur < _BLUR_MAX_MS else _BLUR_MAX_MS)


def _first(moments: range, differs: Callable[[int], bool]) -> int | None:
    """The first moment that differs: one by one if they are few, else by bisection, for those that follow do, too."""
    if len(moments) <= _SCANNED_MAX:
        return next(filter(differs, moments), None)
    at = bisect_left(moments, x=True, key=differs)
    return moments[at] if at < len(moments) else None


def _order(left: Any, right: Any) -> tuple[bool, bool]:
    return compare_moving("<", left, right), compare_moving(">", left, right)
