"""The changelog rows of the engagement stage.

a <account id>             the encoded account (streams.engine.codec)
p                          the partition's own row
e a|u <account or user>    erased: later events are suppressed; empty value
s <day> <partition>        a partition's sketch of a day, until the day's thresholds are written
"""

from typing import Any, Final

import msgspec

ACCOUNT: Final = b"a"
PARTITION: Final = b"p"
ERASED_ACCOUNT: Final = b"ea"
ERASED_USER: Final = b"eu"
SKETCH: Final = b"s"


class PartitionRow(msgspec.Struct, array_like=True):
    """What a partition remembers beside its accounts. Times in ms UTC.

    `announced`: its log has a catalog record. `looked_day`: the latest day of which a sketch was sent. `decided_day`:
    the latest day whose thresholds were written. `ranked_at` and `percentiles`: the thresholds in force.
    """

    floor: int
    newest_arrival: int
    catalog: dict[str, Any]
    announced: bool
    looked_day: int | None
    decided_day: int | None
    ranked_at: int
    percentiles: dict[str, list[float]]


class SketchKey(msgspec.Struct, frozen=True, array_like=True):
    day: int
    partition: int

    def row(self) -> bytes:
        return SKETCH + msgspec.msgpack.encode(self)

    @staticmethod
    def of(row: bytes) -> "SketchKey":
        return msgspec.msgpack.decode(row[len(SKETCH) :], type=SketchKey)
