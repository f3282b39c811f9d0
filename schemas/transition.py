"""A segment transition: an account entered, left or moved between segments.

Everything but `emitted_at` is a function of the log: a replay gives the same again. A reader who has seen a
`transition_id` has seen the transition; `sequence` tells whether one is missing.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from schemas.derive import derive
from schemas.event import EventType
from schemas.fields import AccountId, Name, Time

CE_TYPE: Final = "pegel.segment.transition.v1"
CE_SOURCE: Final = "pegel/engagement"
ANNOUNCE_HEADER: Final = "pegel-announce"
"""On transitions that a new catalog made and that shall be told all the same."""
FACTS_HEADER: Final = "pegel-account"
"""What is known of the account beside its segments, for those who tell people of it: texts by trait, as JSON."""
FACTS_MAX: Final = 20
FACT_CHARS_MAX: Final = 200

_EXAMPLES: Final[list[JsonValue]] = [
    {
        "transition_id": "5b1a8a52-6a3c-5d0e-9f57-0f1f5d2c8a11",
        "account_id": "acme",
        "segment": "activated_trial",
        "direction": "entered",
        "group": None,
        "from_segment": None,
        "effective_at": "2026-03-01T12:34:57.120Z",
        "sequence": 2,
        "catalog_version": "d0c5e9f2a41b",
        "evidence": {"values": {"stage": "trial", "activated": True}},
        "trigger": {"message_id": "018e0a2f-7c1d-7e5a-9a53-2f6d1a4c7b10", "type": "track"},
        "entered_at": None,
        "dwell_seconds": None,
        "forecast": {"leaves_at": "2026-03-15T12:29:58.000Z", "direction": "exited"},
        "emitted_at": "2026-03-01T12:34:57.301Z",
    },
    {
        "transition_id": "0c8fd0c4-0d7e-5c39-8f1c-7a0c1f7f9f35",
        "account_id": "acme",
        "segment": "established",
        "direction": "moved",
        "group": "lifecycle",
        "from_segment": "new",
        "effective_at": "2026-03-31T12:29:58.000Z",
        "sequence": 5,
        "catalog_version": "d0c5e9f2a41b",
        "evidence": {"values": {"since(signed_up_at)": 30}, "failed": ["since(signed_up_at) < 30"]},
        "trigger": "deadline",
        "entered_at": "2026-03-01T12:34:57.120Z",
        "dwell_seconds": 2591700.88,
        "forecast": None,
        "emitted_at": "2026-03-31T12:30:58.140Z",
    },
]


class Direction(StrEnum):
    """Which way the account went."""

    ENTERED = "entered"
    EXITED = "exited"
    MOVED = "moved"


class MessageTrigger(BaseModel):
    """The record that was applied."""

    model_config = ConfigDict(frozen=True)

    message_id: Name = Field(description="Its messageId, or the hash of it where it has none.")
    type: EventType = Field(description="Its type.")


class Forecast(BaseModel):
    """What happens to the membership if no record comes."""

    model_config = ConfigDict(frozen=True)

    leaves_at: Time = Field(description="When the account leaves.")
    direction: Literal[Direction.EXITED, Direction.MOVED] = Field(description="And how.")


class Transition(BaseModel):
    """An account entered, left or moved to a segment."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": _EXAMPLES})

    transition_id: str = Field(
        description="UUIDv5 of account, sequence, segment, direction and effective_at: the same on every replay.",
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    )
    account_id: AccountId = Field(description="The account.")
    segment: Name = Field(description="The segment entered or left; on a move, the one moved to.")
    direction: Direction = Field(description="Which way.")
    group: Name | None = Field(description="The exclusive group the segment belongs to.")
    from_segment: Name | None = Field(description="On a move, the segment left.")
    effective_at: Time = Field(description="When it became true, in event time.")
    sequence: int = Field(ge=1, description="Counts the account's transitions, without gaps.")
    catalog_version: Name = Field(description="The rules that said so.")
    evidence: dict[str, Any] = Field(description="What the conditions saw, and on leaving what failed or held.")
    trigger: MessageTrigger | Literal["deadline", "thresholds", "catalog", "rebuild"] = Field(
        description="What let it be seen: the record applied, time passing, new percentiles, a new catalog, or state "
        "that was rebuilt and found otherwise than it had been told."
    )
    entered_at: Time | None = Field(description="When the segment left had been entered; null on `entered`.")
    dwell_seconds: float | None = Field(ge=0, description="How long the account was in it; null on `entered`.")
    forecast: Forecast | None = Field(description="When the account leaves if nothing happens; null if it stays.")
    emitted_at: Time | None = Field(
        description="When it was written, by the writer's clock: not part of the fact. Null in a replay."
    )

    @model_validator(mode="after")
    def _direction_fits(self) -> Self:
        if (self.direction is Direction.MOVED) != (self.from_segment is not None):
            raise ValueError("from_segment stands on a move and only there")
        if (self.direction is Direction.ENTERED) != (self.entered_at is None):
            raise ValueError("entered_at stands where a segment is left and only there")
        if (self.entered_at is None) != (self.dwell_seconds is None):
            raise ValueError("entered_at and dwell_seconds stand together")
        return self


if TYPE_CHECKING:

    class WireTrigger(msgspec.Struct):
        message_id: str
        type: EventType

    class WireForecast(msgspec.Struct):
        leaves_at: str
        direction: Direction

    class WireTransition(msgspec.Struct, kw_only=True):
        """What the engine writes; the model's fields in the model's order."""

        transition_id: str
        account_id: str
        segment: str
        direction: Direction
        group: str | None
        from_segment: str | None
        effective_at: str
        sequence: int
        catalog_version: str
        evidence: dict[str, Any]
        trigger: WireTrigger | Literal["deadline", "thresholds", "catalog", "rebuild"]
        entered_at: str | None
        dwell_seconds: float | None
        forecast: WireForecast | None
        emitted_at: str | None

else:
    WireTrigger = derive(MessageTrigger)
    WireForecast = derive(Forecast)
    WireTransition = derive(Transition)

SAME_HEADERS: Final[tuple[tuple[str, bytes], ...]] = (
    ("ce_specversion", b"1.0"),
    ("ce_type", CE_TYPE.encode()),
    ("ce_source", CE_SOURCE.encode()),
    ("content-type", b"application/json"),
)
"""What the headers of every transition begin with: the record is a CloudEvent (Kafka binding, binary mode)."""
_encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(WireTransition).decode


def encode_transition(transition: WireTransition) -> bytes:
    """The value of its record; the engine writes the same without making the object (`streams.engine.outgoing`)."""
    return _encode(transition)


def decode_transition(raw: bytes) -> WireTransition:
    """The transition of a record Pegel wrote; raises `msgspec.DecodeError`. Constraints are left to the model."""
    return _decode(raw)


def facts_header(texts: Iterable[tuple[str, Any]]) -> tuple[str, bytes] | None:
    """The header that says what is known of an account; None if nothing is. What is no text is left out."""
    facts = {name: value[:FACT_CHARS_MAX] for name, value in texts if isinstance(value, str) and value}
    return (FACTS_HEADER, msgspec.json.encode(facts)) if facts else None


_facts: Final = msgspec.json.Decoder(dict[str, str])


def facts_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """What the headers of a transition say of its account; nothing where they cannot be read."""
    for name, value in headers:
        if name == FACTS_HEADER:
            try:
                return _facts.decode(value or b"{}")
            except msgspec.DecodeError:
                return {}
    return {}
