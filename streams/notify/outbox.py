"""Open deliveries as rows of the changelog: what a worker must know to go on where another one stopped.

Theory of operation. A delivery that is not settled when its partition is flushed has a row, written in the same
transaction as the offset of the record it came from. From then on the row is what remembers it, not the log: the
partition's offset goes on, so a destination that is down for days makes nobody read the same records again and again,
and what was planned is not planned again under other circumstances. When the delivery is settled its row becomes a
tombstone, in the same transaction as the action or dead letter that says how it ended. A delivery that is planned and
settled between two flushes never has a row.

So after a crash: what was settled and flushed is not repeated; what was settled but not flushed, and what was under
way, is attempted again with the same delivery id; nothing is lost.

A row holds the transition's original bytes, for the dead letter that it may become, and names the play, template and
destination, which are looked up when it is restored: no secret and no rendered text is written to Kafka.
"""

from typing import Final

import msgspec

from streams.notify.plan.delivery import Delivery, Source
from streams.notify.plan.news import read

FORMAT: Final = 1


class Row(msgspec.Struct, array_like=True):
    format: int
    play: str
    destination: str
    template: str
    planned_at_ms: int
    order: int
    attempts: int
    strikes: int
    not_before_ms: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]


class UnreadableRowError(ValueError):
    """The changelog holds a row that this version cannot read."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Row)


def encode(delivery: Delivery) -> bytes:
    source = delivery.source
    assert source.value is not None
    return _encoder.encode(
        Row(
            FORMAT, delivery.play, delivery.destination, delivery.template, delivery.planned_at_ms, delivery.order,
            delivery.attempts, delivery.strikes, delivery.not_before_ms, source.offset, source.timestamp_ms,
            source.key, source.value, list(source.headers),
        )
    )  # fmt: skip


def decode(delivery_id: str, row: bytes, partition: int) -> Delivery:
    try:
        known = _decoder.decode(row)
    except msgspec.DecodeError:
        raise UnreadableRowError(f"delivery {delivery_id}: its row cannot be decoded") from None
    if known.format != FORMAT:
        raise UnreadableRowError(
            f"delivery {delivery_id}: its row has format {known.format}, this version knows {FORMAT}"
        )
    source = Source(partition, known.offset, known.timestamp_ms, known.key, known.value, tuple(known.headers))
    return Delivery(
        delivery_id, known.play, known.destination, known.template, known.planned_at_ms, read(known.value), source,
        known.order, known.attempts, known.strikes, known.not_before_ms,
    )  # fmt: skip
