"""Conditions of rules: what holds or does not, at a moment.

What is compared most is compared as whole numbers: what windows hold with the least number that will do, the
milliseconds since a moment with a boundary (`linear`).
"""

from collections.abc import Callable
from typing import Any, Final

from mypy_extensions import i64

from streams.engine.population import Thresholds
from streams.engine.rules.readings import (
    UNKNOWN,
    AsRanked,
    Moment,
    Percentile,
    Quintile,
    Reading,
    Score,
    Whole,
    score_of,
)
from streams.engine.rules.slots import sequence_key
from streams.engine.rules.values import compare_moving
from streams.engine.rules.view import View

_SYMBOLS: Final = ("<", "<=", ">", ">=", "==", "!=")
_BELOW: Final = 0
_AT_MOST: Final = 1
_ABOVE: Final = 2
_AT_LEAST: Final = 3
_EQUAL: Final = 4


class Condition:
    def holds(self, at: View) -> bool:
        raise NotImplementedError

    def given(self, standing: int) -> "Condition":  # noqa: ARG002 - for most it settles nothing
        """What is left to ask of an account of which the standing is known (`View.standing`)."""
        return self


class Settled(Condition):
    """Whatever the account."""

    def __init__(self, *, result: bool) -> None:
        self.result = result

    def holds(self, at: View) -> bool:  # noqa: ARG002 - whatever the moment
        return self.result


class Both(Condition):
    def __init__(self, first: Condition, second: Condition) -> None:
        self._first = first
        self._second = second

    def holds(self, at: View) -> bool:
        return self._first.holds(at) and self._second.holds(at)

    def given(self, standing: int) -> Condition:
        return both(self._first.given(standing), self._second.given(standing))


class Either(Condition):
    def __init__(self, first: Condition, second: Condition) -> None:
        self._first = first
        self._second = second

    def holds(self, at: View) -> bool:
        return self._first.holds(at) or self._second.holds(at)

    def given(self, standing: int) -> Condition:
        return either(self._first.given(standing), self._second.given(standing))


class Not(Condition):
    def __init__(self, inner: Condition) -> None:
        self._inner = inner

    def holds(self, at: View) -> bool:
        return not self._inner.holds(at)

    def given(self, standing: int) -> Condition:
        inner = self._inner.given(standing)
        return Settled(result=not inner.result) if isinstance(inner, Settled) else Not(inner)


def both(first: Condition, second: Condition) -> Condition:
    if isinstance(first, Settled):
        return second if first.result else first
    if isinstance(second, Settled):
        return first if second.result else second
    return WindowAnd(first, second) if isinstance(first, WindowAtLeast) else Both(first, second)


def either(first: Condition, second: Condition) -> Condition:
    if isinstance(first, Settled):
        return first if first.result else second
    if isinstance(second, Settled):
        return second if second.result else first
    return Either(first, second)


class Truth(Condition):
    """A value as a condition."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def holds(self, at: View) -> bool:
        return bool(self._reading.of(at))


class Known(Condition):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def holds(self, at: View) -> bool:
        return self._reading.of(at) is not None


# Comparisons


class WindowAtLeast(Condition):
    """What a window holds is at least so much."""

    def __init__(self, place: int, least: int) -> None:
        self.place: i64 = place
        self.least: i64 = least

    def holds(self, at: View) -> bool:
        return at.values[self.place] >= self.least


class WindowAnd(Condition):
    """What a window holds is at least so much, and something else holds: few accounts are asked for the latter."""

    def __init__(self, first: WindowAtLeast, second: Condition) -> None:
        self._place: i64 = first.place
        self._least: i64 = first.least
        self._first = first
        self._second = second

    def holds(self, at: View) -> bool:
        return at.values[self._place] >= self._least and self._second.holds(at)

    def given(self, standing: int) -> Condition:
        return both(self._first, self._second.given(standing))


class WindowBelow(Condition):
    def __init__(self, place: int, limit: int) -> None:
        self._place: i64 = place
        self._limit: i64 = limit

    def holds(self, at: View) -> bool:
        return at.values[self._place] < self._limit


class CompareWhole(Condition):
    def __init__(self, symbol: str, left: Whole, right: Whole) -> None:
        self._symbol: i64 = _SYMBOLS.index(symbol)
        self._left = left
        self._right = right

    def holds(self, at: View) -> bool:
        one, other, symbol = self._left.whole(at), self._right.whole(at), self._symbol
        if symbol == _BELOW:
            return one < other
        if symbol == _AT_MOST:
            return one <= other
        if symbol == _ABOVE:
            return one > other
        if symbol == _AT_LEAST:
            return one >= other
        return one == other if symbol == _EQUAL else one != other


def _is_so(symbol: i64, one: float, other: float) -> bool:
    """Of floats alone, which compiled code keeps in registers; other types have the same written out."""
    if symbol == _BELOW:
        return one < other
    if symbol == _AT_MOST:
        return one <= other
    if symbol == _ABOVE:
        return one > other
    if symbol == _AT_LEAST:
        return one >= other
    return one == other if symbol == _EQUAL else one != other


class CompareReal(Condition):
    """Of numbers that are floats without loss."""

    def __init__(self, symbol: str, left: Reading, right: Reading) -> None:
        self._symbol: i64 = _SYMBOLS.index(symbol)
        self._left = left
        self._right = right

    def holds(self, at: View) -> bool:
        return _is_so(self._symbol, self._left.real(at), self._right.real(at))


class Scores(Condition):
    """The score of one window, compared with a multiple of another's."""

    def __init__(self, symbol: str, one: Score, factor: float, other: Score) -> None:
        self._symbol: i64 = _SYMBOLS.index(symbol)
        self._one: i64 = one.place
        self._factor = factor
        self._other: i64 = other.place

    def holds(self, at: View) -> bool:
        values = at.values
        return _is_so(self._symbol, score_of(values[self._one]), self._factor * score_of(values[self._other]))


class CompareKnown(Condition):
    """Of values of one type, each of which may be unknown."""

    def __init__(self, symbol: str, left: Reading, right: Reading) -> None:
        self._symbol: i64 = _SYMBOLS.index(symbol)
        self._left = left
        self._right = right

    def holds(self, at: View) -> bool:
        one = self._left.of(at)
        if one is None:
            return False
        other, symbol = self._right.of(at), self._symbol
        if other is None:
            return False
        if symbol == _BELOW:
            return bool(one < other)
        if symbol == _AT_MOST:
            return bool(one <= other)
        if symbol == _ABOVE:
            return bool(one > other)
        if symbol == _AT_LEAST:
            return bool(one >= other)
        return bool(one == other) if symbol == _EQUAL else bool(one != other)


class Asked(Condition):
    """What a function says of two values."""

    def __init__(self, function: Callable[[Any, Any], bool], left: Reading, right: Reading) -> None:
        self._function = function
        self._left = left
        self._right = right

    def holds(self, at: View) -> bool:
        return self._function(self._left.of(at), self._right.of(at))


class In(Condition):
    """What a function says of a value and constants."""

    def __init__(
        self, function: Callable[[Any, tuple[Any, ...]], bool], reading: Reading, items: tuple[Any, ...]
    ) -> None:
        self._function = function
        self._reading = reading
        self._items = items

    def holds(self, at: View) -> bool:
        return self._function(self._reading.of(at), self._items)


# Times


class Younger(Condition):
    """Less than so many ms have passed since a moment; `unknown`: whether that holds where it is not known."""

    def __init__(self, moment: Moment, offset_ms: int, *, unknown: bool) -> None:
        self._moment = moment
        self._offset_ms = offset_ms
        self._unknown = unknown

    def holds(self, at: View) -> bool:
        moment = self._moment.moment(at)
        return at.now - moment < self._offset_ms if moment != UNKNOWN else self._unknown


class Older(Condition):
    """At least so many ms have passed since a moment."""

    def __init__(self, moment: Moment, offset_ms: int, *, unknown: bool) -> None:
        self._moment = moment
        self._offset_ms = offset_ms
        self._unknown = unknown

    def holds(self, at: View) -> bool:
        moment = self._moment.moment(at)
        return at.now - moment >= self._offset_ms if moment != UNKNOWN else self._unknown


class Moving(Condition):
    """A comparison of which at least one side moves with time: infinity is a value there."""

    def __init__(self, symbol: str, left: Reading, right: Reading) -> None:
        self._symbol = symbol
        self._left = left
        self._right = right

    def holds(self, at: View) -> bool:
        return compare_moving(self._symbol, self._left.of(at), self._right.of(at))


# Facts


class StageIn(Condition):
    """The stage is among some; bits by their places among all."""

    def __init__(self, stages: int) -> None:
        self._stages: i64 = stages

    def holds(self, at: View) -> bool:
        return self._stages >> at.stage() & 1 == 1

    def given(self, standing: int) -> Condition:
        return Settled(result=self._stages >> (standing // 2) & 1 == 1)


class Activated(Condition):
    def holds(self, at: View) -> bool:
        return at.working.activated

    def given(self, standing: int) -> Condition:
        return Settled(result=standing % 2 == 1)


class Member(Condition):
    def __init__(self, bit: int) -> None:
        self._mask = 1 << bit

    def holds(self, at: View) -> bool:
        return at.members & self._mask != 0


class InSequence(Condition):
    """The latest pair of two events lies in the window of so many days."""

    def __init__(self, first: str, second: str, within_ms: int, days: int) -> None:
        self._key = sequence_key(first, second, within_ms)
        self._days = days

    def holds(self, at: View) -> bool:
        latest = at.account.sequences.get(self._key)
        return latest is not None and at.working.program.calendar.day_of(latest) > at.today - self._days


class Reaches(Condition):
    """What accounts are ranked by is at or above a percentile of all."""

    def __init__(self, ranked: AsRanked, percentile: Percentile) -> None:
        self._ranked = ranked
        self._percentile = percentile

    def holds(self, at: View) -> bool:
        percentile = self._percentile.of(at)
        return percentile is not None and self._ranked.reaches(self._ranked.of(at), percentile)


class InFifths(Condition):
    """The fifth that an account is in is one from `lowest` to `highest`; `none`: whether to have none will do, too.

    Asks at most two percentiles, and for no fifth. What they are is looked up once for each look at all accounts.
    """

    def __init__(self, quintile: Quintile, lowest: int, highest: int, *, none: bool) -> None:
        self._quintile = quintile
        self._ranked = quintile.ranked
        self._is_real = quintile.ranked.is_real
        self._has_start = lowest > 1
        self._has_end = highest <= len(quintile.percents)
        self._lowest = lowest
        self._highest = highest
        self._none = none
        self._thresholds: Thresholds | None = None
        self._is_known = False
        self._start: Any = None
        self._end: Any = None
        self._real_start = self._real_end = 0.0

    def holds(self, at: View) -> bool:
        thresholds, ranked = at.working.thresholds, self._ranked
        if thresholds is not self._thresholds:
            self._learn(thresholds)
        if not self._is_known:
            return self._none
        if self._is_real:
            real = ranked.real(at)
            return not (self._has_start and real < self._real_start) and not (self._has_end and real >= self._real_end)
        value = ranked.of(at)
        if value is None:
            return self._none
        if self._has_start and not ranked.reaches(value, self._start):
            return False
        return not (self._has_end and ranked.reaches(value, self._end))

    def _learn(self, thresholds: Thresholds) -> None:
        quintile = self._quintile
        percentiles = thresholds.percentiles.get(quintile.definition)
        self._thresholds, self._is_known = thresholds, bool(percentiles)
        if not percentiles:
            return
        if self._has_start:
            self._start = percentiles[quintile.percents[self._lowest - 2]]
        if self._has_end:
            self._end = percentiles[quintile.percents[self._highest - 1]]
        if self._is_real:
            self._real_start, self._real_end = float(self._start or 0), float(self._end or 0)
