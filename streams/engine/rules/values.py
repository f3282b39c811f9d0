"""What rules compute with when a value may be unknown or of any type: the semantics of unknowns, in one place.

Unknown is None. Arithmetic on an unknown, division by zero and a result that is no finite number are unknown. A
comparison with an unknown, or of different types, is false, `!=` and `not in` too. A number is finite and no boolean.
Compiled rules call these only where the compiler could not prove that a plain operator means the same.
"""

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from schemas.timestamps import parse_ms

_FLOAT_MAX: Final = 1.7976931348623157e308


def number(value: Any) -> int | float | None:
    """The value if it is a number, else None."""
    kind = type(value)
    if kind is int:
        return value if -_FLOAT_MAX <= value <= _FLOAT_MAX else None
    if kind is float:
        return value if math.isfinite(value) else None
    return None


def text(value: Any) -> str | None:
    return value if type(value) is str else None


def time_of(value: Any) -> int | None:
    """A text read as a time, in ms."""
    return parse_ms(value) if type(value) is str else None


def _comparable(left: Any, right: Any) -> bool:
    left_is_number = number(left) is not None
    if left_is_number or number(right) is not None:
        return left_is_number and number(right) is not None
    return type(left) is type(right) and type(left) in (str, bool)


def equal(left: Any, right: Any) -> bool:
    return _comparable(left, right) and left == right


def unequal(left: Any, right: Any) -> bool:
    return _comparable(left, right) and left != right


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        return _comparable(left, right) and type(left) is not bool and compare(left, right)

    return ordered


COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": equal,
    "!=": unequal,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
}


def is_in(value: Any, items: tuple[Any, ...]) -> bool:
    return any(equal(value, item) for item in items)


def not_in(value: Any, items: tuple[Any, ...]) -> bool:
    """True if the value is known, comparable with at least one item's type, and equal to none."""
    return any(_comparable(value, item) for item in items) and not is_in(value, items)


def _finite(compute: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers whose result is unknown where an argument or the result is."""

    def computed(*args: Any) -> Any:
        for arg in args:
            if number(arg) is None:
                return None
        try:
            return number(compute(*args))
        except (OverflowError, ZeroDivisionError):
            return None

    return computed


ARITHMETIC: Final[dict[str, Callable[..., Any]]] = {
    "+": _finite(operator.add),
    "-": _finite(operator.sub),
    "*": _finite(operator.mul),
    "/": _finite(operator.truediv),
    "negate": _finite(operator.neg),
    "min": _finite(min),
    "max": _finite(max),
    "abs": _finite(abs),
    "round": _finite(round),
}


def _moving(compute: Callable[..., Any]) -> Callable[..., Any]:
    """As `_finite`, but infinite values pass: since() of an unknown time is inf, and stays so in sums."""

    def computed(*args: Any) -> Any:
        for arg in args:
            if type(arg) is not float and number(arg) is None:
                return None
        try:
            result = compute(*args)
        except (OverflowError, ZeroDivisionError):
            return None
        return None if result != result else result  # noqa: PLR0124 - NaN is unknown

    return computed


MOVING: Final[dict[str, Callable[..., Any]]] = {
    "+": _moving(operator.add),
    "-": _moving(operator.sub),
    "*": _moving(operator.mul),
    "/": _moving(operator.truediv),
    "negate": _moving(operator.neg),
    "min": _moving(min),
    "max": _moving(max),
    "abs": _moving(abs),
}


def compare_moving(symbol: str, left: Any, right: Any) -> bool:
    """A comparison one side of which moves with time: inf is a value here, and unknown is not."""
    if left is None or right is None or type(left) in (str, bool, list, dict) or type(right) in (str, bool, list, dict):
        return False
    return _PLAIN[symbol](left, right)


_PLAIN: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def contains(value: Any, part: Any) -> bool:
    """Case-insensitive: a text within a text, or a text among the texts of a list."""
    if type(part) is not str:
        return False
    part = part.casefold()
    if type(value) is str:
        return part in value.casefold()
    if type(value) is list:
        return any(type(item) is str and item.casefold() == part for item in value)
    return False


def starts_with(value: Any, start: Any) -> bool:
    return type(value) is str and type(start) is str and value.casefold().startswith(start.casefold())


def property_at(properties: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path of keys, None where it leads nowhere."""
    value: Any = properties
    for key in path:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value
