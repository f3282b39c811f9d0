"""One object for a day or a name that many accounts hold.

Theory of operation. An account remembers the last days of its users and names of events and segments, and in Python
each is an object of its own, 32 bytes and more somewhere in memory. Accounts of the same time remember the same days,
and all of them the same names. So those that are written into an account are taken from here: all hold the same object,
which is near at hand besides. It changes nothing but the room that is taken.

Days and names stand in tables at a place that follows from what they are; whatever comes to a place that is taken takes
it over. Of a name the place follows from its first and its last eight bytes, which say it all if there are no more than
sixteen: so a name is found in a row without an object being made to look it up. `_names` has those of other lengths,
and those that share a place.
"""

from typing import Any, Final

from librt.strings import read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from streams.engine import letters

DAYS_MAX: Final = 4_096
"""Places for days: those of eleven years. A power of two, as the next."""
NAME_PLACES: Final = 4_096
NAMES_MAX: Final = 4_096
"""Beyond so many all are forgotten here; accounts keep what they hold."""
_WORD_BYTES: Final = 8
_MASKS: Final = vec[i64]([(1 << 8 * length) - 1 for length in range(_WORD_BYTES)])
"""Of a word what the first bytes say, by their number."""

_days: Final = vec[i64](list(range(DAYS_MAX)))
_day_objects: Final[list[Any]] = list(range(DAYS_MAX))

_names: Final[dict[tuple[int, bytes], str]] = {}
_heads: Final = vec[i64]([-1] * NAME_PLACES)
_firsts: Final = vec[i64]([0] * NAME_PLACES)
_lasts: Final = vec[i64]([0] * NAME_PLACES)
_name_objects: Final = [""] * NAME_PLACES


def shared(day: i64) -> Any:
    """The day, typed so that compiled code passes on the object itself."""
    place, days, objects = day & (DAYS_MAX - 1), _days, _day_objects
    if days[place] != day:
        days[place] = day
        objects[place] = int(day)
    return objects[place]


def shared_name(row: bytes, start: i64, head: i64) -> str:
    """The name that stands in a row from `start` on, all of it.

    `head` stands in front of it: twice its length in bytes, and one more if it is packed (`letters`).

    Raises:
        ValueError: it is damaged.
    """
    length = head >> 1
    if length > 2 * _WORD_BYTES or start + _WORD_BYTES > len(row):
        return _name_of(head & 1, row[start : start + length])
    first: i64 = read_i64_le(row, start)
    last: i64 = 0
    if length >= _WORD_BYTES:
        last = read_i64_le(row, start + length - _WORD_BYTES)
    else:
        first &= _MASKS[length]
    mixed = first ^ last ^ head
    mixed ^= mixed >> 32
    mixed ^= mixed >> 16
    place = (mixed ^ mixed >> 9) & (NAME_PLACES - 1)
    heads, firsts, lasts, objects = _heads, _firsts, _lasts, _name_objects
    if heads[place] != head or firsts[place] != first or lasts[place] != last:
        objects[place] = _name_of(head & 1, row[start : start + length])
        heads[place], firsts[place], lasts[place] = head, first, last
    return objects[place]


def _name_of(is_packed: int, piece: bytes) -> str:
    known = _names.get((is_packed, piece))
    if known is not None:
        return known
    name = letters.unpacked(piece) if is_packed else piece.decode()
    if len(_names) >= NAMES_MAX:
        _names.clear()
    _names[is_packed, piece] = name
    return name
