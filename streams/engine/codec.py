"""An account's state as bytes: version, next deadline, then the msgpack of `Account`.

The deadline stands in front at a fixed place, so that a partition can schedule a million accounts without decoding one.
A change of `Account` that older bytes do not fit needs a new version here, and a migration.
"""

import struct
from typing import Final

import msgspec

from streams.engine.account import Account

VERSION: Final = 1
_HEADER: Final = struct.Struct(">Bq")
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Account)


class StateError(ValueError):
    """Stored state that this version cannot read."""


def encode(account: Account) -> bytes:
    return _HEADER.pack(VERSION, account.next_at) + _encoder.encode(account)


def decode(stored: bytes) -> Account:
    """Decode a stored account.

    Raises:
        StateError: not written by this version or an older one.
    """
    _check_version(stored)
    try:
        return _decoder.decode(memoryview(stored)[_HEADER.size :])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"stored state is damaged: {error}") from error


def next_deadline(stored: bytes) -> int:
    """The next deadline of a stored account in ms, without decoding it.

    Raises:
        StateError: not written by this version or an older one.
    """
    _check_version(stored)
    deadline: int = _HEADER.unpack_from(stored)[1]
    return deadline


def _check_version(stored: bytes) -> None:
    if len(stored) < _HEADER.size or stored[0] != VERSION:
        found = stored[0] if stored else "nothing"
        raise StateError(
            f"stored state has version {found}, this program reads {VERSION}: upgrade it, or rebuild the state"
        )
