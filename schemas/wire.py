"""The hot path's reader of events: what `schemas.event` says, at the speed of msgspec.

Theory of operation. `WireEvent` is a struct derived from the `Event` model. Its types are strict: they admit a
record only if every field is known and has the very type that the model would keep as it is. A record that msgspec
decodes so needs no further look at its fields, and nearly all do. Whatever else comes - an unknown field, a wrong
type, an empty text, malformed bytes - goes down the careful path: decode to plain values, check the limits, call
the model's own readers field by field. So there are two ways to an equal result, and only the first one has to be
fast.

Unknown fields must take the careful path although their values are dropped: msgspec skips over them without looking
at encoding or range, and would accept bytes that are no JSON.

The limits cost nothing where they cannot be exceeded. The strict types nest only a few levels and hold only 64-bit
integers, so msgspec itself finds what is deep or endless (`schemas.lenient.PLAIN`); a short record cannot have many
keys. Only a record that fails these cheap bounds is walked (`schemas.json_limits`).
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import msgspec

from schemas.derive import derive_with, readers
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
from streams.limits import JSON_KEYS_MAX, RECORD_BYTES_MAX

if TYPE_CHECKING:

    class WireEvent(msgspec.Struct):
        """An event as the hot path sees it. Texts are non-empty or None, objects are never None."""

        type: EventType
        messageId: str | None  # noqa: N815
        userId: str | None  # noqa: N815
        anonymousId: str | None  # noqa: N815
        event: str | None
        name: str | None
        timestamp: str | None
        originalTimestamp: str | None  # noqa: N815
        receivedAt: str | None  # noqa: N815
        sentAt: str | None  # noqa: N815
        groupId: str | None  # noqa: N815
        previousId: str | None  # noqa: N815
        context: dict[str, Any]
        properties: dict[str, Any]
        traits: dict[str, Any]
        version: int | float | str | None
        timestamp_ms: int | None
        """`timestamp` as a number: it had to be parsed to be checked. None if there is none."""

else:
    WireEvent = derive_with(Event, {"timestamp_ms": int | None})

_decode_strictly: Final = msgspec.json.Decoder(WireEvent).decode
_decode_plain: Final = msgspec.json.Decoder(dict[str, PLAIN]).decode
_decode_any: Final = msgspec.json.Decoder().decode

_TYPES: Final = frozenset(get_args(EventType))
_READERS: Final = readers(Event)

_KEY_BYTES_MIN: Final = len('"":0,')
_PLAIN_BYTES_MAX: Final = JSON_KEYS_MAX * _KEY_BYTES_MIN
"""A shorter record cannot have too many keys."""


def decode_event(raw: bytes) -> WireEvent:
    """The event of a record's bytes; raises `Rejected`."""
    if len(raw) > _PLAIN_BYTES_MAX:
        return _decode_carefully(raw)
    try:
        event = _decode_strictly(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_carefully(raw)
    return _checked(event)


def event_time_ms(event: WireEvent, kafka_ms: int) -> int:
    """When it happened: `timestamp`, else `originalTimestamp`, else `receivedAt`, else the Kafka timestamp."""
    if event.timestamp_ms is not None:
        return event.timestamp_ms
    for text in (event.originalTimestamp, event.receivedAt):
        if text is not None:
            ms = parse_ms(text)
            if ms is not None:
                return ms
    return kafka_ms


def _checked(event: WireEvent) -> WireEvent:
    text = event.timestamp
    if text is None:
        event.timestamp_ms = None
    else:
        event.timestamp_ms = parse_ms(text)
        if event.timestamp_ms is None:
            raise unreadable_timestamp()
    if event.event is None and event.type == "track":
        raise missing_event()
    return event


def _decode_carefully(raw: bytes) -> WireEvent:
    fields = _fields(raw)
    event_type, timestamp = fields.get("type"), fields.get("timestamp")
    if not isinstance(event_type, str) or event_type not in _TYPES:
        raise unknown_type()
    if timestamp is not None and not isinstance(timestamp, str):
        raise unreadable_timestamp()
    read = {name: reader(fields[name]) for name, reader in _READERS.items() if name in fields}
    return _checked(WireEvent(type=cast("EventType", event_type), timestamp=timestamp, **read))


def _fields(raw: bytes) -> dict[str, Any]:
    if len(raw) <= _PLAIN_BYTES_MAX:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return _decode_plain(raw)
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
