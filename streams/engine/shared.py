"""One object for a number or a name that many accounts hold.

Theory of operation. An account remembers some hundred days and daily scores, and in Python each is an object of its
own, 32 bytes somewhere in memory. Accounts of the same time remember the same days. So those that are written into an
account are taken from here: all hold the same object, which is near at hand besides. So are the names of events and
segments that accounts are decoded with. It changes nothing but the room that is taken.
"""

from typing import Any, Final

NUMBERS_MAX: Final = 16_384
"""Beyond so many all are forgotten here; accounts keep what they hold."""

NAMES_MAX: Final = 4_096

_numbers: Final[dict[Any, Any]] = {}
_names: Final[dict[bytes, str]] = {}


def shared(number: int) -> Any:
    """The number, typed so that compiled code passes on the object itself."""
    known = _numbers.get(number)
    if known is not None:
        return known
    if len(_numbers) >= NUMBERS_MAX:
        _numbers.clear()
    one: Any = number
    _numbers[one] = one
    return one


def shared_name(encoded: bytes) -> str:
    """The name that these bytes are in UTF-8."""
    known = _names.get(encoded)
    if known is not None:
        return known
    name = encoded.decode()
    if len(_names) >= NAMES_MAX:
        _names.clear()
    _names[encoded] = name
    return name
