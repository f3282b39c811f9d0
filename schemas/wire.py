"""The hot path's reader of events: what `schemas.event` says, at the speed of msgspec.

Theory of operation. `WireEvent` is a struct derived from the `Event` model. Its types are strict: they admit a record
only if every field has the very type that the model would keep as it is. There are three ways to the same result, tried
in this order, and most records go the first:

1. every field is known and of its type: one decode, and nothing is left to look at but the timestamp;
2. there are unknown fields: msgspec skips them without looking at their encoding or the range of their numbers, and
   would accept bytes that are no JSON. So the record is decoded once more as a whole, just to see that it can be;
3. anything else - a wrong type, an empty text, malformed bytes, much nesting: decode to plain values, check the limits,
   call the model's own readers field by field, and find the reason if it has to be refused.

The limits cost nothing where they cannot be exceeded. The strict types nest only a few levels and hold only 64-bit
integers, so msgspec itself finds what is deep or endless (`schemas.lenient.PLAIN`); a short record cannot have many
keys. Only a record that fails these cheap bounds is walked (`schemas.json_limits`).
"""

from typing import Any, Final, cast, get_args

import msgspec

from schemas.derive import closed, readers
from schemas.event import (
    Event,
    EventType,
    missing_event,
    not_an_object,
    not_json,
    too_large,
    unknown_type,
    unreadable_timestamp,
)
from schemas.json_limits import OUT_OF_RANGE, check_limits, too_deep
from schemas.lenient import PLAIN
from schemas.timestamps import parse_ms
from schemas.wire_event import WireEvent
from streams.limits import JSON_KEYS_MAX, RECORD_BYTES_MAX

_decode_closed: Final = msgspec.json.Decoder(cast("type[WireEvent]", closed(WireEvent))).decode
_decode_open: Final = msgspec.json.Decoder(WireEvent).decode
_decode_plain: Final = msgspec.json.Decoder(dict[str, PLAIN]).decode
_decode_any: Final = msgspec.json.Decoder().decode

_UNFIT: Final = (msgspec.DecodeError, UnicodeDecodeError)
_TYPES: Final = frozenset(get_args(EventType))
_READERS: Final = readers(Event)

_KEY_BYTES_MIN: Final = len('"":0,')
_PLAIN_BYTES_MAX: Final = JSON_KEYS_MAX * _KEY_BYTES_MIN
"""A shorter record cannot have too many keys."""


def decode_event(raw: bytes) -> WireEvent:
    """The event of a record's bytes; raises `Rejected`."""
    try:
        event = _decode_closed(raw) if len(raw) <= _PLAIN_BYTES_MAX else _decode_fields(_fields_within_limits(raw))
    except _UNFIT:
        event = _decode_surprising(raw)
    return _checked(event)


def event_time_ms(event: WireEvent, kafka_ms: int) -> int:
    """When it happened: `timestamp`, else `originalTimestamp`, else `receivedAt`, else the Kafka timestamp."""
    told_ms = event.timestamp_ms
    if told_ms is not None:
        return told_ms
    for text in (event.originalTimestamp, event.receivedAt):
        if text is not None:
            ms = parse_ms(text)
            if ms is not None:
                return ms
    return kafka_ms


def _checked(event: WireEvent) -> WireEvent:
    text = event.timestamp
    told_ms = None if text is None else parse_ms(text)
    if told_ms is None and text is not None:
        raise unreadable_timestamp()
    event.timestamp_ms = told_ms
    if event.event is None and event.type == "track":
        raise missing_event()
    return event


def _decode_surprising(raw: bytes) -> WireEvent:
    """A short record that the closed struct does not fit."""
    try:
        fields = _decode_plain(raw)
    except _UNFIT:
        return _decode_fields(_fields_within_limits(raw))
    try:
        return _decode_open(raw)
    except msgspec.ValidationError:
        return _decode_fields(fields)


def _decode_fields(fields: dict[str, Any]) -> WireEvent:
    event_type, timestamp = fields.get("type"), fields.get("timestamp")
    if not isinstance(event_type, str) or event_type not in _TYPES:
        raise unknown_type()
    if timestamp is not None and not isinstance(timestamp, str):
        raise unreadable_timestamp()
    read = {name: reader(fields[name]) for name, reader in _READERS.items() if name in fields}
    return WireEvent(type=cast("EventType", event_type), timestamp=timestamp, **read)


def _fields_within_limits(raw: bytes) -> dict[str, Any]:
    value = _parse(raw)
    check_limits(value)
    if not isinstance(value, dict):
        raise not_an_object()
    return value


def _parse(raw: bytes) -> Any:
    if len(raw) > RECORD_BYTES_MAX:
        raise too_large(len(raw))
    try:
        return _decode_any(raw)
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError:
        raise not_json(raw, OUT_OF_RANGE) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(raw, str(error)) from None
