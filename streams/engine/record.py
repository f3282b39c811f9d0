"""A record as the engine sees it: an event with its two times, its identity, and what of it the engine reads."""

from hashlib import blake2b
from typing import Any, Final

import msgspec

from schemas.dead_letter import Rejected, RejectReason
from schemas.event import EventType
from schemas.timestamps import parse_ms
from schemas.wire import event_time_ms
from schemas.wire_event import WireEvent
from streams.engine.message_ids import DIGEST_BYTES
from streams.engine.rules.values import property_at, text
from streams.limits import ACCOUNT_ID_CHARS_MAX, MESSAGE_ID_CHARS_MAX

ACTIVITY_TYPES: Final = frozenset({"track", "page", "screen"})


class Record:
    """`t` is the event's own time, `a` its arrival, both in ms UTC; `digest` identifies it for deduplication."""

    __slots__ = ("a", "digest", "event", "kind", "message_id", "name", "properties", "t", "user")

    def __init__(self, event: WireEvent, t: int, a: int, digest: bytes, message_id: str) -> None:
        self.event = event
        self.t = t
        self.a = a
        self.digest = digest
        self.message_id = message_id
        kind = event.type
        self.kind: EventType = kind
        self.properties = event.properties
        self.name: str = (event.event or "") if kind == "track" else kind
        """The event name under which it counts."""
        self.user: str | None = event.userId or event.anonymousId


def record_of(event: WireEvent, raw: bytes, arrival_ms: int) -> Record:
    """The record of a decoded event that arrived at `arrival_ms`; `raw` are its bytes."""
    known = event.messageId
    if known:
        message_id = known[:MESSAGE_ID_CHARS_MAX]  # every transition repeats it
        digest = blake2b(_bytes_of(known), digest_size=DIGEST_BYTES).digest()
    else:
        digest = _canonical_digest(raw)
        message_id = digest.hex()
    return Record(event, event_time_ms(event, arrival_ms), arrival_ms, digest, message_id)


def _bytes_of(message_id: str) -> bytes:
    try:
        return message_id.encode()  # names no way to deal with errors: that would cost ten times as much
    except UnicodeEncodeError:
        return message_id.encode("utf-8", "surrogatepass")


def file_arrival(event: WireEvent) -> int | None:
    """The arrival of an event in a file, which no Kafka timestamp says: receivedAt, else timestamp."""
    for candidate in (event.receivedAt, event.timestamp):
        if candidate is not None:
            at = parse_ms(candidate)
            if at is not None:
                return at
    return None


def _canonical_digest(raw: bytes) -> bytes:
    """The hash of a record without a message id: of its JSON with sorted keys, so that formatting does not matter."""
    canonical = msgspec.json.encode(msgspec.json.decode(raw), order="sorted")
    return blake2b(canonical, digest_size=DIGEST_BYTES).digest()


def account_of_key(key: bytes | None) -> str:
    """The account that a record of the log is of: its key.

    Raises:
        Rejected: there is no key, it is too long, or no UTF-8.
    """
    if not key:
        raise Rejected(RejectReason.MISSING_ACCOUNT, "the record has no key")
    try:
        account_id = key.decode()
    except UnicodeDecodeError:
        raise Rejected(RejectReason.NOT_UTF8, "the key is not UTF-8") from None
    if len(account_id) > ACCOUNT_ID_CHARS_MAX:
        raise Rejected(RejectReason.ACCOUNT_TOO_LONG, f"the key has more than {ACCOUNT_ID_CHARS_MAX} characters")
    return account_id


def team_of(properties: dict[str, Any], path: tuple[str, ...]) -> str | None:
    return text(property_at(properties, path)) or None
