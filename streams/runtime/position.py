"""The changelog's own rows: how far the input had been applied when the rows before them were written.

The group's committed offset says the same as the position row. The row is there because the offset can be read wrongly
where the row cannot: older brokers apply a finished transaction's offsets some time after its records become visible,
offsets expire when a group sleeps for a week, and an operator may move them. State that was loaded with an offset
behind it would apply records twice. So a partition starts at whichever is greater.

Where a flush is no transaction the row does more: it is what makes the rows before it count. ``at`` is the offset at
which its writer expected it to stand, having seen that all its rows before stand without a stranger's between them. A
row that stands elsewhere is void. ``staged`` is the offset from which on the rows of this flush stand *staged*, packed
under keys of the runtime's own. See ``acked.py``.

========================  =====================================================  ============================
key                       value                                                  written by
========================  =====================================================  ============================
empty                     ``{"position": 17}``                                   exactly_once
empty                     ``{"position": 17, "at": 90}`` (and ``"staged": 40``)  at_least_once
0xff, origin, number      a stage's row: key length, key, mark, value            at_least_once, large flushes
anything else             the stage's                                            both
========================  =====================================================  ============================

The keys of stages are text, or begin with text: 0xff begins none.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams.runtime.failure import RuntimeFailure

Row = tuple[bytes, bytes | None]

POSITION_KEY: Final = b""
STAGED_MARK: Final = b"\xff"
STAGED_KEY: Final = struct.Struct(">cQI")
STAGED_HEAD: Final = struct.Struct(">I?")


@dataclass(frozen=True, slots=True)
class Position:
    """What a position row says."""

    next: int
    """Records of the input below this are in the state."""
    at: int | None = None
    staged: int | None = None

    def stands_at(self, offset: int) -> bool:
        """Say whether a row at this offset counts. One that went into a transaction stands where it stands."""
        return self.at is None or self.at == offset

    def leaves_open(self, offset: int, last: int) -> bool:
        """Say whether it, being the last one, leaves open what the state is; ``last`` is the log's last record."""
        return self.at is not None and not (self.at == offset == last and self.staged is None)


def encode_position(position: int) -> bytes:
    return b'{"position":%d}' % position


def encode_position_at(position: int, at: int, staged: int | None = None) -> bytes:
    more = b"" if staged is None else b',"staged":%d' % staged
    return b'{"position":%d,"at":%d%b}' % (position, at, more)


def decode_position(value: bytes | None) -> Position:
    try:
        found = json.loads(value or b"")
        position = Position(found["position"], found.get("at"), found.get("staged"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RuntimeFailure("the changelog's position row cannot be read") from None
    if not _is_offset(position.next) or not all(
        one is None or _is_offset(one) for one in (position.at, position.staged)
    ):
        raise RuntimeFailure("the changelog's position row is no offset")
    return position


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def staged(origin: int, number: int, row: Row) -> Row:
    """Pack a stage's row under a key that no other flush uses."""
    key, value = row
    return STAGED_KEY.pack(STAGED_MARK, origin, number), STAGED_HEAD.pack(len(key), value is None) + key + (
        value or b""
    )


def unstaged(value: bytes) -> Row:
    length, is_tombstone = STAGED_HEAD.unpack_from(value)
    start = STAGED_HEAD.size
    return value[start : start + length], None if is_tombstone else value[start + length :]


def require_keys_of_stages(rows: Iterable[Row]) -> None:
    for key, _ in rows:
        if not key or key[:1] == STAGED_MARK:
            raise RuntimeFailure("a changelog row without a key, or under a key that is the runtime's own")
