"""The changelog rows of the engagement stage.

a <account id>             the encoded account (streams.engine.codec)
p                          the partition's own row, with the operations that have not reached all accounts
e a|u <account or user>    erased: later events are suppressed; empty value
r                          which of the last records were refused (streams.runtime.rejects)
s <day> <partition>        a partition's sketch of a day, until the day's thresholds are written
"""

from typing import Final

import msgspec

ACCOUNT: Final = b"a"
PARTITION: Final = b"p"
ERASED_ACCOUNT: Final = b"ea"
ERASED_USER: Final = b"eu"
REJECTS: Final = b"r"
SKETCH: Final = b"s"


class PendingRow(msgspec.Struct, array_like=True, omit_defaults=True):
    """An operation that has not reached all accounts (`streams.engine.operations`). Times in ms UTC.

    One of `until` (an advance), `percentiles` as of `ranked_at`, `catalog` from `at` on, `user` (to be forgotten).
    """

    number: int
    until: int | None = None
    ranked_at: int | None = None
    percentiles: dict[str, list[float]] | None = None
    at: int | None = None
    catalog: bytes | None = None  # msgpack
    announce: bool = False
    user: str | None = None


class PartitionRow(msgspec.Struct, array_like=True):
    """What a partition remembers beside its accounts. Times in ms UTC.

    `announced`: its log has a catalog record. `looked_day`: the latest day of which a sketch was sent. `decided_day`:
    the latest day whose thresholds were written. `catalog`, and `ranked_at` and `percentiles`, which are the
    thresholds: in force before the first of the `pending` operations. `number`: of the latest operation. `members`: how
    many accounts are in each segment; None: nobody counted.
    """

    floor: int
    newest_arrival: int
    catalog: msgspec.Raw
    announced: bool
    looked_day: int | None
    decided_day: int | None
    ranked_at: int
    percentiles: dict[str, list[float]]
    number: int = 0
    pending: list[PendingRow] = []
    members: dict[str, int] | None = None


class SketchKey(msgspec.Struct, frozen=True, array_like=True):
    day: int
    partition: int

    def row(self) -> bytes:
        return SKETCH + msgspec.msgpack.encode(self)

    @staticmethod
    def of(row: bytes) -> "SketchKey":
        return msgspec.msgpack.decode(row[len(SKETCH) :], type=SketchKey)
