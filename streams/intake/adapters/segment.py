"""Bare Segment-spec JSON, as Segment's and RudderStack's own Kafka destinations write it."""

from schemas.wire import decode_event
from schemas.wire_event import WireEvent


def adapt(raw: bytes) -> tuple[WireEvent, bytes]:
    """The event, and the producer's bytes as they are: what the engine reads is what was sent."""
    return decode_event(raw), raw
