"""Values that rules read and compute: the leaves and branches below their comparisons.

Every reading has a value (`of`), None where it is unknown, of the type that Python would give it. Those that are
certain numbers have a faster way beside it: whole numbers (`whole`) and floats (`real`), which compiled code keeps in
registers. What moves with time is a line, too (`linear`).

`shown` is the value as evidence has it: whole floats as integers, other floats to a millisecond of a day, an infinite
age as a text, times written out.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mypy_extensions import i64

from schemas.timestamps import format_ms
from streams.engine import measures
from streams.engine.calendar import DAY_MS
from streams.engine.rules import linear
from streams.engine.rules.values import compare_moving, number, property_at, time_of
from streams.engine.rules.view import View

if TYPE_CHECKING:
    from streams.engine.rules.conditions import Condition
    from streams.engine.rules.linear import Line

UNKNOWN: Final = -(1 << 62)
"""A moment that is not known."""
EXACT: Final = 1 << 53
"""Whole numbers up to here are floats without loss."""
_SCORE_CLEAR: Final = 1 << 33
_LENGTH_CLEAR: Final = 1 << 45
"""Thousandths and ms up to here, as floats, are off by less than would show in the digits below."""
_DIGITS: Final = 8


class Reading:
    """A value at a moment."""

    def of(self, at: View) -> Any:
        raise NotImplementedError

    def real(self, at: View) -> float:
        """As a float; of readings alone that are always a number."""
        raise NotImplementedError

    def shown(self, at: View) -> Any:
        return shown(self.of(at))

    def line(self, at: View) -> "Line | None":
        """As a line; of one that does not move by itself a level one."""
        return linear.constant(number(self.of(at)))


def shown(value: Any) -> Any:
    """Whole floats as integers, other floats to a millisecond of a day, infinity (since an unknown time) as a text."""
    if type(value) is not float:
        return value
    if math.isinf(value):
        return "never"
    return int(value) if value.is_integer() else round(value, _DIGITS)


class Constant(Reading):
    def __init__(self, value: Any) -> None:
        self._value = value

    def of(self, at: View) -> Any:  # noqa: ARG002 - whatever the moment
        return self._value


class Judged(Reading):
    """Whether a condition holds, as a value."""

    def __init__(self, condition: "Condition") -> None:
        self.condition = condition

    def of(self, at: View) -> bool:
        return self.condition.holds(at)


# Whole numbers


class Whole(Reading):
    """A whole number, always known."""

    def whole(self, at: View) -> int:
        raise NotImplementedError

    def of(self, at: View) -> int:
        return self.whole(at)

    def real(self, at: View) -> float:
        return float(self.whole(at))

    def shown(self, at: View) -> int:
        return self.whole(at)


class WholeConstant(Whole):
    def __init__(self, value: int) -> None:
        self.value = value
        self._as_float = float(value)

    def whole(self, at: View) -> int:  # noqa: ARG002 - as above
        return self.value

    def real(self, at: View) -> float:  # noqa: ARG002
        return self._as_float


class Counted(Whole):
    """What is counted in a window."""

    def __init__(self, place: int) -> None:
        self.place: i64 = place

    def whole(self, at: View) -> int:
        return int(at.values[self.place])


class Total(Whole):
    """All activity."""

    def whole(self, at: View) -> int:
        return at.account.total


class TotalOf(Whole):
    """All events of a name."""

    def __init__(self, event: str) -> None:
        self._event = event

    def whole(self, at: View) -> int:
        series = at.account.events.get(self._event)
        return 0 if series is None else series.total


class WholeSum(Whole):
    """The sum, difference or product of two whole numbers."""

    def __init__(self, symbol: str, left: Whole, right: Whole) -> None:
        self._symbol = symbol
        self._left = left
        self._right = right

    def whole(self, at: View) -> int:
        one, other = self._left.whole(at), self._right.whole(at)
        if self._symbol == "*":
            return one * other
        return one + other if self._symbol == "+" else one - other


# Floats


class Real(Reading):
    """A float, always known and finite but for the age of what never was."""

    def of(self, at: View) -> float:
        return self.real(at)


class RealConstant(Real):
    def __init__(self, value: float) -> None:
        self.value = value

    def real(self, at: View) -> float:  # noqa: ARG002
        return self.value


class Score(Real):
    """The score of a window, which is kept in thousandths."""

    def __init__(self, place: int) -> None:
        self.place: i64 = place

    def real(self, at: View) -> float:
        return score_of(at.values[self.place])

    def shown(self, at: View) -> Any:
        kept = at.values[self.place]
        if kept % 1000 == 0:
            return int(kept // 1000)
        return self.real(at) if -_SCORE_CLEAR < kept < _SCORE_CLEAR else shown(self.real(at))


def score_of(thousandths: i64) -> float:
    return float(int(thousandths)) / 1000.0 if -EXACT <= thousandths <= EXACT else linear.quotient(thousandths, 1000)


class Multiple(Real):
    """A constant times the score of a window."""

    def __init__(self, constant: WholeConstant | RealConstant, score: Score) -> None:
        self.factor = float(constant.value)
        self.score = score

    def real(self, at: View) -> float:
        return self.factor * self.score.real(at)


class RealArithmetic(Real):
    """Arithmetic of two numbers that are certain, one of them a float, with a result that is certain, too."""

    def __init__(self, symbol: str, left: Reading, right: Reading) -> None:
        self._symbol = symbol
        self._left = left
        self._right = right

    def real(self, at: View) -> float:
        one, other, symbol = self._left.real(at), self._right.real(at), self._symbol
        if symbol == "*":
            return one * other
        if symbol == "+":
            return one + other
        return one - other if symbol == "-" else one / other


class Negated(Real):
    def __init__(self, inner: Real) -> None:
        self._inner = inner

    def real(self, at: View) -> float:
        return -self._inner.real(at)

    def line(self, at: View) -> "Line | None":
        return linear.negate(self._inner.line(at))


# Times


class Moment(Reading):
    """A time in ms."""

    def moment(self, at: View) -> int:
        """`UNKNOWN` if it is not known."""
        raise NotImplementedError

    def of(self, at: View) -> int | None:
        moment = self.moment(at)
        return None if moment == UNKNOWN else moment

    def shown(self, at: View) -> str | None:
        moment = self.moment(at)
        return None if moment == UNKNOWN else format_ms(moment)


class Written(Reading):
    """A time as text."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def of(self, at: View) -> str | None:
        return self._moment.shown(at)


class SignedUpAt(Moment):
    def moment(self, at: View) -> int:
        return at.working.signed_up_at


class TrialEndsAt(Moment):
    def moment(self, at: View) -> int:
        return at.working.trial_ends_at


class LastActiveAt(Moment):
    def moment(self, at: View) -> int:
        return at.working.last_active_at


class LastOf(Moment):
    """The latest event of a name."""

    def __init__(self, event: str) -> None:
        self._event = event

    def moment(self, at: View) -> int:
        series = at.account.events.get(self._event)
        return UNKNOWN if series is None else series.last


class Found(Moment):
    """Any other reading that is a time."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def moment(self, at: View) -> int:
        found: int | None = self._reading.of(at)
        return UNKNOWN if found is None else found


class Age(Real):
    """Days since a moment, or until it; infinite where it is not known."""

    def __init__(self, moment: Moment, *, since: bool) -> None:
        self.moment = moment
        self.since = since

    def real(self, at: View) -> float:
        moment = self.moment.moment(at)
        if moment == UNKNOWN:
            return math.inf
        length = at.now - moment if self.since else moment - at.now
        return float(length) / DAY_MS if -EXACT <= length <= EXACT else linear.quotient(length, DAY_MS)

    def shown(self, at: View) -> Any:
        moment = self.moment.moment(at)
        if moment == UNKNOWN:
            return "never"
        length = at.now - moment if self.since else moment - at.now
        return length_shown(length)

    def line(self, at: View) -> "Line | None":
        moment: int | None = self.moment.of(at)
        return linear.since(moment, at.now) if self.since else linear.until(moment, at.now)


def length_shown(length_ms: int) -> Any:
    """A length of time in days, as `shown` has it, in whole numbers where they say the same.

    In units of the last digit it is 125/108 per ms. Unless it lies right between two of them the nearest is clear.
    """
    if length_ms % DAY_MS == 0 and -EXACT <= length_ms <= EXACT:
        return length_ms // DAY_MS
    units, rest = divmod(length_ms * 125, 108)
    if rest == 54 or not -_LENGTH_CLEAR < length_ms < _LENGTH_CLEAR:
        return shown(linear.quotient(length_ms, DAY_MS))
    return float(units if rest < 54 else units + 1) / 1e8


# What is found in the account, and may be unknown or of any type


class Fact(Reading):
    """What the working set has under a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def of(self, at: View) -> Any:
        return getattr(at.working, self._name)


class Nps(Reading):
    def of(self, at: View) -> float | None:
        return at.working.nps


class Mrr(Reading):
    def of(self, at: View) -> Any:  # compiled, a float would not be an int
        return at.working.mrr


class Plan(Reading):
    def of(self, at: View) -> str | None:
        return at.working.plan


class UsageRatio(Reading):
    def of(self, at: View) -> float | None:
        return at.working.usage_ratio


class ActivationRate(Reading):
    def of(self, at: View) -> Any:  # as above
        return at.working.activation_rate


class Stage(Reading):
    def of(self, at: View) -> str:
        return at.working.stage(at.now)


class Trait(Reading):
    def __init__(self, key: str) -> None:
        self._key = key

    def of(self, at: View) -> Any:
        return at.account.trait(self._key)


class Property(Reading):
    """What an event says at a path of keys."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path = path

    def of(self, at: View) -> Any:
        return property_at(at.properties, self._path)


class Measured(Reading):
    """A measure over a window."""

    def __init__(self, name: str, days: int, before: int) -> None:
        self._name = name
        self._days = days
        self._before = before

    def of(self, at: View) -> Any:
        working, name = at.working, self._name
        if at.today == working.today:
            return working.measure(name, self._days, self._before)
        last_day = at.today - self._before
        series = at.account.measures.get(name)
        return measures.read(working.program.aggregates[name], series, last_day - self._days + 1, last_day)


# Computed of what may be unknown


class TimeOf(Reading):
    def __init__(self, text: Reading) -> None:
        self._text = text

    def of(self, at: View) -> int | None:
        return time_of(self._text.of(at))


class Default(Reading):
    def __init__(self, first: Reading, second: Reading) -> None:
        self._first = first
        self._second = second

    def of(self, at: View) -> Any:
        first = self._first.of(at)
        return self._second.of(at) if first is None else first


class MovingDefault(Default):
    def line(self, at: View) -> "Line | None":
        return linear.default(self._first.line(at), self._second.line(at))


class Computed(Reading):
    """A function of readings."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Reading]) -> None:
        self._function = function
        self.args = list(args)

    def of(self, at: View) -> Any:
        return self._function(*[arg.of(at) for arg in self.args])


class Moving(Computed):
    """Arithmetic of what moves with time; `symbol` as in the rule, `negate`, or a function's name."""

    def __init__(self, symbol: str, function: Callable[..., Any], args: Sequence[Reading]) -> None:
        super().__init__(function, args)
        self._symbol = symbol

    def line(self, at: View) -> "Line | None":
        lines = [arg.line(at) for arg in self.args]
        if self._symbol == "negate":
            return linear.negate(lines[0])
        if self._symbol in ("+", "-", "*", "/"):
            return linear.arithmetic(self._symbol, lines[0], lines[1])
        return linear.extreme(self._symbol, *lines)


# Compared with all accounts


class Percentile(Reading):
    """A percentile of all accounts; unknown before the first look at them."""

    def __init__(self, definition: str, percent: int) -> None:
        self.definition = definition
        self.percent = percent

    def of(self, at: View) -> Any:
        return at.working.thresholds.percentile(self.definition, self.percent)


class AsRanked(Reading):
    """What accounts are ranked by, as of the latest look at them. `comparable`: a number wherever it is known."""

    def __init__(self, reading: Reading, *, moves: bool, comparable: bool) -> None:
        self._reading = reading
        self._moves = moves
        self._comparable = comparable
        self.is_real = isinstance(reading, Real | Counted)

    def real(self, at: View) -> float:
        """Where it `is_real`: a number that is certain, and not beyond what floats hold without loss."""
        if not self._moves:
            return self._reading.real(at)
        now = at.now
        at.go_to(at.working.thresholds.at_ms)
        found = self._reading.real(at)
        at.go_to(now)
        return found

    def of(self, at: View) -> Any:
        if not self._moves:
            return self._reading.of(at)
        now = at.now
        at.go_to(at.working.thresholds.at_ms)
        found = self._reading.of(at)
        at.go_to(now)
        return found

    def reaches(self, value: Any, percentile: Any) -> bool:
        """Whether a value that it had is at or above a percentile."""
        if value is None or percentile is None:
            return False
        if isinstance(value, float) and isinstance(percentile, float):
            return value >= percentile
        return bool(value >= percentile) if self._comparable else compare_moving(">=", value, percentile)


class Quintile(Whole):
    """The fifth that an account is in, 5 the highest; 0 where it has none."""

    def __init__(self, ranked: AsRanked, definition: str, percents: Sequence[int]) -> None:
        self.ranked = ranked
        self.definition = definition
        self.percents = list(percents)

    def whole(self, at: View) -> int:
        percentiles, ranked = at.working.thresholds.percentiles.get(self.definition), self.ranked
        if not percentiles:
            return 0
        value = ranked.of(at)
        if value is None:
            return 0
        fifth = 1
        for percent in self.percents:
            fifth += ranked.reaches(value, percentiles[percent])
        return fifth
