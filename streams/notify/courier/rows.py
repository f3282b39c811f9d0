"""The courier's changelog: what a worker must know to go on where another one stopped.

Theory of operation. A delivery that is not settled when its partition is flushed has a row, written in the same
transaction as the offset of the record it came from. From then on the row is what remembers it, not the log: the
partition's offset goes on, so a destination that is down for days makes nobody read the same records again and again,
and what was planned is not planned again under other circumstances. When the delivery is settled its row becomes a
tombstone, in the same transaction as the action or dead letter that says how it ended. A delivery that is planned and
settled between two flushes never has a row.

So after a crash: what was settled and flushed is not repeated; what was settled but not flushed, and what was under
way, is attempted again with the same delivery id; nothing is lost.

A key is a kind, the destination, and what tells rows of a kind apart:

    d:DESTINATION:DELIVERY   an open delivery
    s:DESTINATION:           more are open than are kept in memory (`outbox`): up to which place in the order
    o:DESTINATION:           what an operator has said of the destination
    t:DESTINATION:SUBJECT    what the first message about an account is called there, and the last ones (`threads`)
    p:DESTINATION:KEY        what the destination's plan remembers

A row's array may grow at its end, by values that have a default: older versions leave out what they do not know, newer
ones read what older ones wrote (`tests/data/rows`). Any other change is another kind of row, or another `FORMAT`.

A delivery's row holds the original bytes of all transitions that it tells of, for the dead letters that it may become,
and names the play, template and destination, which are looked up when it is restored: no secret is written to Kafka.
Its words are, from the first attempt on, where the destination knows a repeat by its bytes.
"""

from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec

from streams.connectors.message import Link, MessageKind, Rendered
from streams.notify.plan.delivery import Delivery, Item, SinceLast, Source
from streams.notify.plan.news import News, read

FORMAT: Final = 2
SEPARATOR: Final = ":"


class Kind(StrEnum):
    """What a row is about."""

    DELIVERY = "d"
    SPILL = "s"
    OPERATOR = "o"
    THREAD = "t"
    PLAN = "p"


class UnreadableRowError(ValueError):
    """The changelog holds a row that this version cannot read."""


def key_of(kind: Kind, destination: str, rest: str = "") -> bytes:
    return SEPARATOR.join((kind, destination, rest)).encode()


def parts_of(key: bytes) -> tuple[Kind, str, str]:
    """Kind, destination and rest of a key."""
    try:
        kind, destination, rest = key.decode().split(SEPARATOR, 2)
        return Kind(kind), destination, rest
    except ValueError:
        raise UnreadableRowError("a row's key is none that this version knows") from None


class ItemRow(msgspec.Struct, array_like=True):
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    facts: dict[str, str]
    owner: str | None
    news: dict[str, Any] | None
    """Where it is no transition, and so not in `value`."""


class DeliveryRow(msgspec.Struct, array_like=True):
    format: int
    order: int
    play: str
    template: str
    planned_at_ms: int
    attempts: int
    strikes: int
    not_before_ms: int
    unsure: bool
    kind: str
    items: list[ItemRow]
    more: int
    step: int
    scheduled_at_ms: int | None
    since_last: tuple[tuple[str, ...], tuple[str, ...], int | None] | None
    lane: str
    rendered: tuple[str, str, list[tuple[str, str]]] | None


class SpillRow(msgspec.Struct, array_like=True):
    """`until`: the place of the last delivery that was not kept in memory."""

    until: int


class OperatorRow(msgspec.Struct, array_like=True):
    """What an operator has said of a destination last: what comes after `held_after` waits; None: nothing does."""

    command: str
    held_after: int | None
    at_ms: int
    by: str
    note: str


class ThreadRow(msgspec.Struct, array_like=True, frozen=True):
    """The ref of the first message about a subject, and of plays that edit that of the last one."""

    ref: str
    last: dict[str, str]


class _AnyThreadRow(msgspec.Struct, array_like=True, frozen=True):
    """Of the first versions too, which kept a time where the last messages are now."""

    ref: str
    last: dict[str, str] | int


_encoder: Final = msgspec.msgpack.Encoder()
_deliveries: Final = msgspec.msgpack.Decoder(DeliveryRow)

Row = TypeVar("Row", SpillRow, OperatorRow, _AnyThreadRow)


def encode(row: SpillRow | OperatorRow | ThreadRow) -> bytes:
    return _encoder.encode(row)


def decode(row: bytes, kind: type[Row]) -> Row:
    try:
        return msgspec.msgpack.decode(row, type=kind)
    except msgspec.DecodeError:
        raise UnreadableRowError("a row cannot be decoded") from None


def decode_thread(row: bytes) -> ThreadRow:
    known = decode(row, _AnyThreadRow)
    return ThreadRow(known.ref, {} if isinstance(known.last, int) else known.last)


def encode_delivery(delivery: Delivery, *, with_words: bool) -> bytes:
    """`with_words`: a repeat must be the same bytes."""
    rendered, since = delivery.rendered, delivery.since_last
    return _encoder.encode(
        DeliveryRow(
            FORMAT, delivery.order, delivery.play, delivery.template, delivery.planned_at_ms, delivery.attempts,
            delivery.strikes, delivery.not_before_ms, delivery.unsure, delivery.kind.value,
            [_item_row(item) for item in delivery.items], delivery.more, delivery.step, delivery.scheduled_at_ms,
            None if since is None else (since.came, since.went, since.at_ms), delivery.lane,
            None if rendered is None or not with_words
            else (rendered.title, rendered.body, [(link.label, link.url) for link in rendered.links]),
        )
    )  # fmt: skip


def order_of(row: bytes) -> int:
    """The place of a delivery's row in the courier's order."""
    return decode_row(row).order


def decode_row(row: bytes) -> DeliveryRow:
    try:
        known = _deliveries.decode(row)
    except msgspec.DecodeError:
        raise UnreadableRowError("the row of a delivery cannot be decoded") from None
    if known.format != FORMAT:
        raise UnreadableRowError(f"a delivery's row has format {known.format}, this version knows {FORMAT}")
    return known


def decode_delivery(destination: str, delivery_id: str, row: bytes) -> Delivery:
    """Raises `Rejected` if what it tells of is no transition any more."""
    known = decode_row(row)
    leading, *others = (_item(one) for one in known.items)
    words, since = known.rendered, known.since_last
    return Delivery(
        delivery_id, known.play, destination, known.template, known.planned_at_ms, leading.news, leading.source,
        known.order, known.attempts, known.strikes, known.not_before_ms, known.unsure,
        None if words is None else Rendered(words[0], words[1], tuple(Link(*link) for link in words[2])),
        MessageKind(known.kind), leading.facts, leading.owner, tuple(others), known.more, known.step,
        known.scheduled_at_ms, None if since is None else SinceLast(*since), known.lane,
    )  # fmt: skip


def _item_row(item: Item) -> ItemRow:
    source, news = item.source, item.news
    told: dict[str, Any] | None = None
    if source.value is None:
        told = {name: getattr(news, name) for name in News.__slots__}
    return ItemRow(
        source.partition, source.offset, source.timestamp_ms, source.key, source.value, list(source.headers),
        dict(item.facts), item.owner, told,
    )  # fmt: skip


def _item(row: ItemRow) -> Item:
    source = Source(row.partition, row.offset, row.timestamp_ms, row.key, row.value, tuple(row.headers))
    news = read(row.value) if row.news is None else News(**row.news)
    return Item(news, source, row.facts, row.owner)
