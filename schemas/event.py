"""The input event, after the Segment spec: what producers may send and what becomes of it.

Unknown fields are kept (the record's bytes are passed on as they came). A value of the wrong type is unknown, as is
null. A record is refused only where it could not be applied at all: no known `type`, a track call without `event`, a
`timestamp` that is there and cannot be read.

`read_event` is the reference reader, written in pydantic alone. The hot path (`schemas.wire`) must accept, refuse and
understand the same records; the laws in the tests hold them together.
"""

from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.dead_letter import Rejected, RejectReason
from schemas.derive import readers
from schemas.json_limits import check_limits, check_numerals, too_deep
from schemas.lenient import Ignored, Object, Text, TimeText, Version
from schemas.timestamps import parse_ms
from streams.limits import RECORD_BYTES_MAX

EventType: TypeAlias = Literal["track", "page", "screen", "identify", "group", "alias"]

_EXAMPLES: Final[list[JsonValue]] = [
    {
        "type": "track",
        "messageId": "018e0a2f-7c1d-7e5a-9a53-2f6d1a4c7b10",
        "userId": "u-17",
        "event": "report_created",
        "timestamp": "2026-03-01T12:34:56.789Z",
        "receivedAt": "2026-03-01T12:34:57.120Z",
        "context": {"groupId": "acme"},
        "properties": {"rows": 1200, "team": "finance"},
    },
    {
        "type": "group",
        "messageId": "018e0a2f-7c1d-7e5a-9a53-2f6d1a4c7b11",
        "userId": "u-17",
        "groupId": "acme",
        "timestamp": "2026-03-01T12:30:00Z",
        "traits": {"name": "Acme Ltd", "plan": "trial", "seats": 5, "createdAt": "2026-03-01T12:29:58Z"},
        "version": 1,
    },
]

_TRACK_NEEDS_EVENT: Final[dict[str, JsonValue]] = {
    "if": {"properties": {"type": {"const": "track"}}},
    "then": {"required": ["event"], "properties": {"event": {"type": "string", "minLength": 1}}},
}


class Event(BaseModel):
    """A product event of the Segment spec, as producers should send it.

    Unknown fields are kept. Of a known one, null and a value of the wrong type are accepted and count as not sent,
    except in `type`, `timestamp` and a track call's `event`.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, json_schema_extra={"examples": _EXAMPLES, **_TRACK_NEEDS_EVENT}
    )

    type: EventType = Field(description="The kind of call.")
    messageId: Text = Field(  # noqa: N815 - the spec's spelling, here and below
        None, description="Unique per event, so that a repeated delivery is known. Segment allows 100 characters."
    )
    userId: Text = Field(None, description="Who did it.")  # noqa: N815
    anonymousId: Text = Field(None, description="Who did it, before they said who they are.")  # noqa: N815
    event: Text = Field(None, description="What was done. Required on track calls.")
    name: Text = Field(None, description="Name of the page or screen.")
    timestamp: str | None = Field(
        None,
        description="When it happened. RFC 3339 with an offset. The one time that may not be wrong.",
        json_schema_extra={"format": "date-time"},
    )
    originalTimestamp: TimeText = Field(None, description="When it happened by the sender's clock.")  # noqa: N815
    receivedAt: TimeText = Field(None, description="When the first server received it.")  # noqa: N815
    sentAt: TimeText = Field(None, description="When it was sent, by the sender's clock.")  # noqa: N815
    groupId: Text = Field(None, description="The account, on group calls.")  # noqa: N815
    previousId: Text = Field(None, description="The id that userId replaces, on alias calls.")  # noqa: N815
    context: Object = Field(default_factory=dict, description="Circumstances; `groupId` in it names the account.")
    properties: Object = Field(default_factory=dict, description="Facts about what was done.")
    traits: Object = Field(default_factory=dict, description="Facts about the account (group) or user (identify).")
    version: Version = Field(None, description="Version of the call's format.")
    # Sent by common libraries and never looked at; named here so that the hot path is not surprised by them.
    category: Ignored = Field(None, description="Category of the page.")
    channel: Ignored = Field(None, description="Where the call was made.")
    integrations: Ignored = Field(None, description="Destinations the sender wants it to reach.")
    projectId: Ignored = Field(None, description="The sender's project.")  # noqa: N815
    writeKey: Ignored = Field(None, description="The sender's source.")  # noqa: N815
    rudderId: Ignored = Field(None, description="The user, as RudderStack numbers them.")  # noqa: N815

    @model_validator(mode="before")
    @classmethod
    def _within_limits(cls, value: Any) -> Any:
        try:
            check_limits(value)
        except Rejected as rejected:
            raise _as_error(rejected) from None
        if not isinstance(value, dict):
            raise _as_error(not_an_object())
        return value

    @field_validator("timestamp", mode="wrap")
    @classmethod
    def _readable(cls, value: Any, _next: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or parse_ms(value) is None:
            raise _as_error(unreadable_timestamp())
        return value

    @model_validator(mode="after")
    def _track_has_event(self) -> Self:
        if self.type == "track" and self.event is None:
            raise _as_error(missing_event())
        return self


def read_event(raw: bytes) -> Event:
    """The event of a record's bytes; raises `Rejected`."""
    if len(raw) > RECORD_BYTES_MAX:
        raise too_large(len(raw))
    check_numerals(raw)
    try:
        return Event.model_validate_json(raw)
    except ValidationError as error:
        raise _as_rejected(error, raw) from None


def ignored_fields(fields: dict[str, Any]) -> list[str]:
    """Which fields of an accepted event count as not sent, because their value has the wrong type or is no time."""
    ignored = [
        name
        for name, read in readers(Event).items()
        if fields.get(name) is not None and read(fields[name]) != fields[name]
    ]
    unreadable = [
        name
        for name in ("originalTimestamp", "receivedAt", "sentAt")
        if name not in ignored and fields.get(name) is not None and parse_ms(fields[name]) is None
    ]
    return ignored + unreadable


def too_large(size_bytes: int) -> Rejected:
    return Rejected(RejectReason.TOO_LARGE, f"{size_bytes} bytes are more than {RECORD_BYTES_MAX}")


def not_an_object() -> Rejected:
    return Rejected(RejectReason.NOT_AN_OBJECT, "the record is no JSON object")


def unknown_type() -> Rejected:
    return Rejected(RejectReason.UNKNOWN_TYPE, "type is not one of track, page, screen, identify, group, alias")


def missing_event() -> Rejected:
    return Rejected(RejectReason.MISSING_EVENT, "a track call without a non-empty text as event")


def unreadable_timestamp() -> Rejected:
    return Rejected(RejectReason.UNREADABLE_TIMESTAMP, "timestamp is not an RFC 3339 date-time with an offset")


def not_json(raw: bytes, detail: str) -> Rejected:
    """The reason why bytes cannot be parsed: their encoding, else their grammar."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Rejected(RejectReason.NOT_UTF8, f"no UTF-8 at byte {error.start}")
    return Rejected(RejectReason.NOT_JSON, detail)


def _as_error(rejected: Rejected) -> PydanticCustomError:
    return PydanticCustomError("rejected", "{detail}", {"reason": rejected.reason, "detail": rejected.detail})


def _as_rejected(error: ValidationError, raw: bytes) -> Rejected:
    """The reason of a pydantic error. Of several, the one that the hot path would meet first."""
    items = error.errors(include_url=False, include_input=False)
    by_field = {str(item["loc"][0]): item for item in items if item["loc"]}
    if "type" in by_field:
        return unknown_type()
    item = by_field.get("timestamp", items[0])
    if item["type"] == "json_invalid":
        message = str(item["ctx"]["error"])
        return too_deep() if message.startswith("recursion limit") else not_json(raw, message)
    return Rejected(RejectReason(item["ctx"]["reason"]), item["ctx"]["detail"])
