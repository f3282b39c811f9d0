"""What a line or a record of the two logs says: an exposure, a passage, or nothing of interest.

Read leniently: of an action only what results need, so that newer notifiers may say more. A dumped record stands in
the envelope of `kcat -J`; what is in files may be either, in any order.
"""

from typing import Any, Final

import msgspec

from schemas.action import Arm, Reason
from schemas.timestamps import parse_ms
from schemas.transition import Direction
from streams.report.exposures import Exposure
from streams.report.goals import Passage


class _Wire(msgspec.Struct):
    """An action has `playbook`, `reason` and `at`; a transition has `effective_at`."""

    account_id: str
    segment: str | None = None
    direction: str | None = None
    from_segment: str | None = None
    effective_at: str | None = None
    playbook: str | None = None
    reason: str | None = None
    arm: str | None = None
    at: str | None = None


class _Dumped(msgspec.Struct):
    payload: str | None = None
    payload_base64: str | None = None
    topic: str | None = None


_decode: Final = msgspec.json.Decoder(_Wire).decode
_decode_dumped: Final = msgspec.json.Decoder(_Dumped).decode


class UnreadableRecordError(ValueError):
    """Neither an action nor a transition."""


def value_of(line: bytes) -> bytes | None:
    """The value in a dumped record's envelope; the line itself, if it is none; None for a tombstone."""
    try:
        dumped = _decode_dumped(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line
    if dumped.topic is None:
        return line
    return None if dumped.payload is None else dumped.payload.encode()


def read(value: bytes) -> tuple[str, Exposure] | Passage | None:
    """A play and an exposure to it, or what a transition says; None for any other action."""
    try:
        wire = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableRecordError from None
    if wire.effective_at is not None:
        return _passage(wire)
    if wire.playbook is None or wire.at is None:
        raise UnreadableRecordError
    if wire.reason != Reason.EXPOSED:
        return None
    return wire.playbook, Exposure(wire.account_id, _time(wire.at), _word(Arm, wire.arm))


def _passage(wire: _Wire) -> Passage:
    if wire.segment is None:
        raise UnreadableRecordError
    direction = _word(Direction, wire.direction)
    return Passage(wire.account_id, wire.segment, direction, wire.from_segment, _time(wire.effective_at))


def _time(text: str | None) -> int:
    found = None if text is None else parse_ms(text)
    if found is None:
        raise UnreadableRecordError
    return found


def _word(words: Any, text: str | None) -> Any:
    try:
        return words(text)
    except ValueError:
        raise UnreadableRecordError from None
