"""A transition as the notifier sees it: what routing needs as values, and the whole of it for templates and receivers.

Only what the notifier relies on is checked, so that a producer may add fields without breaking deliveries.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from schemas.dead_letter import Rejected, RejectReason
from schemas.timestamps import parse_ms
from streams.limits import ACCOUNT_ID_CHARS_MAX, RECORD_BYTES_MAX

CATALOG: Final = "catalog"
REBUILD: Final = "rebuild"


@dataclass(frozen=True, slots=True)
class News:
    transition_id: str
    account_id: str
    segment: str
    direction: str
    group: str | None
    from_segment: str | None
    effective_at_ms: int
    from_catalog: bool
    """A new catalog alone made it, nothing that the account did."""
    fields: dict[str, Any] = field(repr=False)
    from_rebuild: bool = False
    """It corrects what was told before: never news."""


class _Wire(msgspec.Struct):
    transition_id: str
    account_id: str
    segment: str
    direction: Literal["entered", "exited", "moved"]
    effective_at: str
    group: str | None = None
    from_segment: str | None = None
    trigger: Any = None


_decoder: Final = msgspec.json.Decoder()


def read(raw: bytes | None, *, announced: bool = False) -> News:
    """Read a record's value; raises `Rejected`. The detail quotes nothing of it.

    `announced`: what a new catalog made is news like any other.
    """
    if raw is None:
        raise Rejected(RejectReason.NULL_VALUE, "the record has no value")
    if len(raw) > RECORD_BYTES_MAX:
        raise Rejected(RejectReason.TOO_LARGE, f"{len(raw)} bytes are more than {RECORD_BYTES_MAX}")
    try:
        fields = _decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise Rejected(RejectReason.NOT_UTF8, f"no UTF-8 at byte {error.start}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected(_grammar(raw), type(error).__name__) from None
    if not isinstance(fields, dict):
        raise Rejected(RejectReason.NOT_AN_OBJECT, "the value is no JSON object")
    try:
        wire = msgspec.convert(fields, _Wire)
    except msgspec.ValidationError as error:
        raise Rejected(RejectReason.BAD_TRANSITION, _without_values(str(error))) from None
    effective_at_ms = parse_ms(wire.effective_at)
    if effective_at_ms is None:
        raise Rejected(RejectReason.BAD_TRANSITION, "effective_at is not an RFC 3339 date-time with an offset")
    if not (wire.account_id and len(wire.account_id) <= ACCOUNT_ID_CHARS_MAX and wire.transition_id):
        raise Rejected(RejectReason.BAD_TRANSITION, "account_id or transition_id is empty or too long")
    trigger = _trigger_type(wire.trigger)
    return News(
        wire.transition_id, wire.account_id, wire.segment, wire.direction, wire.group, wire.from_segment,
        effective_at_ms, trigger == CATALOG and not announced, fields, trigger == REBUILD,
    )  # fmt: skip


def _trigger_type(trigger: Any) -> Any:
    return trigger.get("type") if isinstance(trigger, dict) else trigger


def _grammar(raw: bytes) -> RejectReason:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return RejectReason.NOT_UTF8
    return RejectReason.NOT_JSON


def _without_values(message: str) -> str:
    """What msgspec says, which may quote an unexpected enum value, without the payload's words."""
    if "'" not in message:
        return message
    return f"{message.partition(chr(39))[0].strip()} at {message.rpartition(' at ')[2]}"
