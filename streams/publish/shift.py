"""Move all times of an event by one constant, so that old history can happen now.

Moved are the event's own four times and every text in `context`, `properties` and `traits`, however deep, that is an
RFC 3339 time: `createdAt`, `trialEndsAt`, `renewsAt` and whatever a producer calls its dates. All by the same
constant, so that every distance stays what it was. What is no time, or would leave the years 0001-9999, stays
untouched.
"""

from typing import Any, Final

import msgspec

from schemas.timestamps import YEAR_1_MS, YEAR_9999_END_MS, format_ms, parse_ms
from streams.limits import JSON_DEPTH_MAX

OWN_TIMES: Final = ("timestamp", "originalTimestamp", "receivedAt", "sentAt")
CARRIERS: Final = ("context", "properties", "traits")
# The shortest and, with a generous fraction and an offset, the longest text worth a look.
TIME_CHARS_MIN: Final = len("2026-03-01T00:00:00Z")
TIME_CHARS_MAX: Final = 40

_encode = msgspec.json.Encoder().encode


def shifted(fields: dict[str, Any], by_ms: int) -> bytes:
    """The event as JSON with its times moved; keys keep their order."""
    moved = dict(fields)
    for name in OWN_TIMES:
        if name in moved:
            moved[name] = _moved(moved[name], by_ms, 1)
    for name in CARRIERS:
        if name in moved:
            moved[name] = _moved(moved[name], by_ms, JSON_DEPTH_MAX)
    return _encode(moved)


def _moved(value: Any, by_ms: int, depth: int) -> Any:
    if isinstance(value, str):
        return _moved_text(value, by_ms)
    if depth > 0 and isinstance(value, dict):
        return {name: _moved(inner, by_ms, depth - 1) for name, inner in value.items()}
    if depth > 0 and isinstance(value, list):
        return [_moved(inner, by_ms, depth - 1) for inner in value]
    return value


def _moved_text(text: str, by_ms: int) -> str:
    if not TIME_CHARS_MIN <= len(text) <= TIME_CHARS_MAX or not text[0].isdigit():
        return text
    at_ms = parse_ms(text)
    if at_ms is None or not YEAR_1_MS <= at_ms + by_ms <= YEAR_9999_END_MS:
        return text
    return format_ms(at_ms + by_ms)
