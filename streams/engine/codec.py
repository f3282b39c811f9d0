"""An account's state as bytes: version, next deadline, then its fields (`compact`; of older versions `stored`).

The deadline stands in front at a fixed place, so that a partition can schedule a million accounts without decoding one.

Versions. Every version from `OLDEST` on is read, for good (`tests/data/states` keeps samples). Written is `VERSION`, or
on demand an older one from `OLDEST_WRITTEN` on: while a deployment is upgraded, and as long as it may have to go back,
its workers write what the version before can read (docs/operations.md, Upgrade). A change that older bytes do not fit
therefore needs a new version, a way to read the old, and a way to write the one before. What is added at the end, and
what a reader of old takes for nothing, needs none of this.
"""

import struct
from typing import Final

import msgspec

from streams.engine import compact, stored
from streams.engine.account import Account
from streams.engine.rules.linear import NEVER

VERSION: Final = 3
OLDEST: Final = 1
OLDEST_WRITTEN: Final = 1
_HEADER: Final = struct.Struct(">Bq")
_HEADER_BYTES: Final = 9


class StateError(ValueError):
    """Stored state that this version cannot read."""


def encode(account: Account, version: int = VERSION) -> bytes:
    """Of an older version, from `OLDEST_WRITTEN` on, for workers that read no newer one."""
    if version == VERSION:
        head: bytes = _HEADER.pack(VERSION, account.next_at)
        return compact.encode(account, head)
    assert OLDEST_WRITTEN <= version < VERSION, f"version {version} is not written"
    next_at, fields = stored.encode(account, version)
    return _HEADER.pack(version, next_at) + fields


def decode(row: bytes) -> Account:
    """Decode a stored account.

    Raises:
        StateError: not written by this version or an older one.
    """
    _check_version(row)
    try:
        if row[0] == VERSION:
            account = compact.decode(row, _HEADER_BYTES)
        else:
            account = stored.decode(memoryview(row)[_HEADER_BYTES:])
    except (ValueError, msgspec.DecodeError) as error:
        raise StateError(f"stored state is damaged: {error}") from error
    account.next_at = next_deadline(row)
    return account


def version_of(row: bytes) -> int:
    """The version in which an account is stored; 0 if it is stored in none."""
    return row[0] if row else 0


def next_deadline(row: bytes) -> int:
    """The next deadline of a stored account in ms, without decoding it.

    Raises:
        StateError: not written by this version or an older one.
    """
    _check_version(row)
    deadline: int = _HEADER.unpack_from(row)[1]
    return min(deadline, NEVER)


def _check_version(row: bytes) -> None:
    if len(row) < _HEADER_BYTES or not OLDEST <= row[0] <= VERSION:
        found = row[0] if row else "nothing"
        raise StateError(
            f"stored state has version {found}, this program reads {OLDEST} to {VERSION}: "
            "start a version that does, or rebuild the state (docs/operations.md, Upgrade)"
        )
