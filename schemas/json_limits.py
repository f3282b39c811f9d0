r"""What counts as JSON here, beyond the grammar: the one place where the two readers' differences are settled.

A record is read by msgspec on the hot path and by pydantic (jiter) elsewhere. Both keep to RFC 8259, with these
choices:

* A number must fit a double. An integer or a decimal beyond +-1.8e308 is refused as `not_json`: msgspec refuses most of
  them, jiter makes them infinite, and arithmetic on the rest would fail later. `NaN` and `Infinity` are no JSON.
* An integer in that range keeps every digit; a number with a point or an exponent is the nearest double.
* A lone surrogate (``"\ud800"``) is refused as `not_json`, bytes that are not UTF-8 as `not_utf8`, a byte order mark
  as `not_json`. ``\u0000`` inside a text is allowed.
* The last of several equal keys counts, wherever it stands. The values of the others must be JSON too, and their
  decimals fit a double; jiter lets more pass, hence `check_numerals`.
* At most `JSON_DEPTH_MAX` containers stand inside each other, the record itself included, and `JSON_KEYS_MAX` keys in
  all objects together, equal keys of one object counted once. Beyond a certain depth neither reader looks further: a
  record that is at fault in several ways may be refused for any of them.
* White space around the value is allowed; anything else after it is not.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from schemas.dead_letter import Rejected, RejectReason
from streams.limits import JSON_DEPTH_MAX, JSON_KEYS_MAX

OUT_OF_RANGE: Final = "a number is out of range"
FLOAT_MAX: Final = int(1.7976931348623157e308)

_SUSPECT_NUMERAL: Final = re.compile(rb"NaN|Infinity|[eE][+-]?[0-9]{2}|[0-9]{200}")
"""Whatever is no number here looks like this; the converse is not true, as texts may look so too."""


def check_limits(value: Any) -> None:
    """Raise `Rejected` if a parsed JSON value is too deep, has too many keys, or a number that fits no double."""
    keys = depth = 0
    level: list[Any] = [value]
    while True:
        _check_numbers(level)
        containers = [item for item in level if isinstance(item, dict | list)]
        if not containers:
            return
        if depth == JSON_DEPTH_MAX:
            raise too_deep()
        keys += sum(len(item) for item in containers if isinstance(item, dict))
        if keys > JSON_KEYS_MAX:
            raise Rejected(RejectReason.TOO_MANY_KEYS, f"more than {JSON_KEYS_MAX} keys")
        level = [inner for item in containers for inner in _inside(item)]
        depth += 1


def check_numerals(raw: bytes) -> None:
    """Raise `Rejected` for a decimal beyond a double, `NaN` or `Infinity`, also under a key that comes again later.

    For the reader by pydantic alone, which does not show such values. Bytes that are no JSON are left to it to judge.
    """
    if _SUSPECT_NUMERAL.search(raw) is None:
        return
    try:
        json.loads(raw.decode(), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return


def too_deep() -> Rejected:
    return Rejected(RejectReason.TOO_DEEP, f"more than {JSON_DEPTH_MAX} objects and arrays inside each other")


def _out_of_range() -> Rejected:
    return Rejected(RejectReason.NOT_JSON, OUT_OF_RANGE)


def _finite(numeral: str) -> float:
    number = float(numeral)
    if not math.isfinite(number):
        raise _out_of_range()
    return number


def _inside(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _check_numbers(items: list[Any]) -> None:
    for item in items:
        if isinstance(item, float):
            if not math.isfinite(item):
                raise _out_of_range()
        elif isinstance(item, int) and not -FLOAT_MAX <= item <= FLOAT_MAX:
            raise _out_of_range()
