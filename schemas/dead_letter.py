"""What becomes of a record that is refused: it goes to `<topic>.dlq` unchanged, and its headers say why.

A dead letter keeps the key, the value's original bytes and the record's own headers; what Pegel has to add stands
in headers whose names begin with `pegel-`. `RejectReason` is closed: the same words are metric labels, dead-letter
headers and the lines of a report.

A dead letter can be tried again (`streams.dead_letters`): its original record is written once more, with two headers
that say since when and how often it was refused. Should it be refused again, the next dead letter keeps them.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

DETAIL_CHARS_MAX: Final = 200

PEGEL_HEADER_PREFIX: Final = "pegel-"
ORIGINAL_TOPIC_HEADER: Final = "pegel-original-topic"
ORIGINAL_PARTITION_HEADER: Final = "pegel-original-partition"
ORIGINAL_OFFSET_HEADER: Final = "pegel-original-offset"
REASON_HEADER: Final = "pegel-reason"
DETAIL_HEADER: Final = "pegel-detail"
FIRST_SEEN_HEADER: Final = "pegel-first-seen"
ORIGINAL_TIMESTAMP_HEADER: Final = "pegel-original-timestamp"
STAGE_HEADER: Final = "pegel-stage"
RETRIES_HEADER: Final = "pegel-retries"
ORIGINAL_BYTES_HEADER: Final = "pegel-original-bytes"
ORIGINAL_KEY_BYTES_HEADER: Final = "pegel-original-key-bytes"
ORIGINAL_HEADERS_HEADER: Final = "pegel-original-headers"
KEPT_HEADER_PREFIX: Final = "pegel-original-header-"
"""Before the name of a header of Pegel's own that the original record had."""
DELIVERY_HEADER: Final = "pegel-delivery-id"
DESTINATION_HEADER: Final = "pegel-destination"
PLAY_HEADER: Final = "pegel-play"
RETRY_DELIVERY_HEADER: Final = "pegel-retry-delivery"
"""On a transition that is tried again: the one delivery that is wanted."""
UNREADABLE_HEADER: Final = "pegel-unreadable"
"""The last header of a record that the reader of the wire could not read whole (`streams.runtime.batches`)."""

StageName = Literal["intake", "engagement", "router", "courier"]
RETRIES_MAX: Final = 1_000_000


class RejectReason(StrEnum):
    """Why a record was refused."""

    # The bytes (schemas.wire)
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY_KEYS = "too_many_keys"
    # The event (schemas.event)
    UNKNOWN_TYPE = "unknown_type"
    MISSING_EVENT = "missing_event"
    UNREADABLE_TIMESTAMP = "unreadable_timestamp"
    # The record on the wire (any stage)
    BAD_HEADERS = "bad_headers"
    BAD_BATCH = "bad_batch"
    # The record (intake)
    NULL_VALUE = "null_value"
    MISSING_ACCOUNT = "missing_account"
    ACCOUNT_TOO_LONG = "account_too_long"
    # A line of a file
    UNREADABLE_ARRIVAL = "unreadable_arrival"
    # A control record (engagement)
    UNKNOWN_CONTROL = "unknown_control"
    BAD_CONTROL = "bad_control"
    # A transition (router)
    BAD_TRANSITION = "bad_transition"
    # A delivery of a transition (courier): the words of `schemas.action.Reason`
    REJECTED = "rejected"
    DESTINATION_GONE = "destination_gone"
    EXPIRED = "expired"
    BACKLOG_FULL = "backlog_full"
    TEMPLATE_FAILED = "template_failed"
    PLAY_REMOVED = "play_removed"


class Rejected(Exception):  # noqa: N818 - the record was rejected; that is an answer, not an error of this program
    """A record is refused. `detail` says what is wrong with it without quoting it: payloads may hold personal facts."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        """Keep the reason, and as much of the detail as a header may hold."""
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail[:DETAIL_CHARS_MAX]

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class DeadLetter(BaseModel):
    """The headers of a dead letter. Its key and value are the original ones."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "original_topic": "product.events.v1",
                    "original_partition": 3,
                    "original_offset": 128_411,
                    "original_timestamp": "2026-03-01T12:34:56.789Z",
                    "reason": "missing_account",
                    "detail": "no groupId, no context.groupId, and the user is of no known account",
                    "stage": "intake",
                    "first_seen": "2026-03-01T12:34:56.789Z",
                    "retries": 0,
                }
            ]
        },
    )

    original_topic: str = Field(description="Topic the record came from.")
    original_partition: int = Field(ge=0, description="Its partition there.")
    original_offset: int = Field(ge=0, description="Its offset there.")
    original_timestamp: str | None = Field(default=None, description="Its own Kafka timestamp, RFC 3339.")
    reason: RejectReason = Field(description="Why it was refused.")
    detail: str = Field(
        max_length=DETAIL_CHARS_MAX, description="What is wrong, in words; never a part of the payload."
    )
    stage: StageName | None = Field(default=None, description="Who refused it.")
    first_seen: str = Field(
        description="The Kafka timestamp of the record when it was refused first, RFC 3339; kept over retries."
    )
    retries: int = Field(default=0, ge=0, le=RETRIES_MAX, description="How often it was tried again.")

    original_bytes: int | None = Field(
        default=None, ge=0, description="Size of the original value, where it was too large to be kept whole."
    )
    original_key_bytes: int | None = Field(
        default=None, ge=0, description="Size of the original key, where it was too large to be kept whole."
    )
    original_headers: int | None = Field(
        default=None, ge=0, description="Number of the original headers, where they could not all be kept."
    )

    @property
    def whole(self) -> bool:
        """Whether key and value are the original ones, every byte."""
        return (
            self.original_bytes is None
            and self.original_key_bytes is None
            and self.reason is not RejectReason.BAD_BATCH
        )

    def to_headers(self) -> list[tuple[str, bytes]]:
        """As Kafka headers; what is not known is left out."""
        found = {name: getattr(self, field) for field, name in HEADER_NAMES.items()}
        return [(name, str(value).encode()) for name, value in found.items() if value is not None]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> "DeadLetter":
        """Read back what `to_headers` wrote; raises pydantic's ValidationError if the record is no dead letter."""
        texts: Mapping[str, str] = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
        return cls.model_validate({field: texts[name] for field, name in HEADER_NAMES.items() if name in texts})


HEADER_NAMES: Final[Mapping[str, str]] = {
    "original_topic": ORIGINAL_TOPIC_HEADER,
    "original_partition": ORIGINAL_PARTITION_HEADER,
    "original_offset": ORIGINAL_OFFSET_HEADER,
    "original_timestamp": ORIGINAL_TIMESTAMP_HEADER,
    "reason": REASON_HEADER,
    "detail": DETAIL_HEADER,
    "stage": STAGE_HEADER,
    "first_seen": FIRST_SEEN_HEADER,
    "retries": RETRIES_HEADER,
    "original_bytes": ORIGINAL_BYTES_HEADER,
    "original_key_bytes": ORIGINAL_KEY_BYTES_HEADER,
    "original_headers": ORIGINAL_HEADERS_HEADER,
}
"""By field of `DeadLetter`."""
