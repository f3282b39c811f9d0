"""The changelog's own row: how far the input had been applied when the rows before it were written.

The group's committed offset says the same, and both are written in one transaction. The row is there because the
offset can be read wrongly where the row cannot: older brokers apply a finished transaction's offsets some time after
its records become visible, offsets expire when a group sleeps for a week, and an operator may move them. State that was
loaded with an offset behind it would apply records twice. So a partition starts at whichever is greater.
"""

import json
from typing import Final

from streams.runtime.failure import RuntimeFailure

POSITION_KEY: Final = b""


def encode_position(position: int) -> bytes:
    return b'{"position":%d}' % position


def decode_position(value: bytes | None) -> int:
    try:
        position = json.loads(value or b"")["position"]
    except (ValueError, TypeError, KeyError):
        raise RuntimeFailure("the changelog's position row cannot be read") from None
    if not isinstance(position, int) or position < 0:
        raise RuntimeFailure("the changelog's position row is no offset")
    return position
