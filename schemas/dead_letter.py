"""What becomes of a record that is refused: it goes to `<topic>.dlq` unchanged, and its headers say why.

A dead letter keeps the key, the value's original bytes and the record's own headers; what Pegel has to add stands
in headers whose names begin with `pegel-`. `RejectReason` is closed: the same words are metric labels, dead-letter
headers and the lines of a report.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

DETAIL_CHARS_MAX: Final = 200

PEGEL_HEADER_PREFIX: Final = "pegel-"
ORIGINAL_TOPIC_HEADER: Final = "pegel-original-topic"
ORIGINAL_PARTITION_HEADER: Final = "pegel-original-partition"
ORIGINAL_OFFSET_HEADER: Final = "pegel-original-offset"
REASON_HEADER: Final = "pegel-reason"
DETAIL_HEADER: Final = "pegel-detail"
FIRST_SEEN_HEADER: Final = "pegel-first-seen"
ORIGINAL_BYTES_HEADER: Final = "pegel-original-bytes"


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
    # The record (intake)
    NULL_VALUE = "null_value"
    MISSING_ACCOUNT = "missing_account"
    ACCOUNT_TOO_LONG = "account_too_long"
    # A line of a file
    UNREADABLE_ARRIVAL = "unreadable_arrival"
    # A control record (engagement)
    UNKNOWN_CONTROL = "unknown_control"
    BAD_CONTROL = "bad_control"
    # A transition (notifier)
    BAD_TRANSITION = "bad_transition"
    # A delivery of a transition (notifier): the words of `schemas.action.Reason`
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
                    "reason": "missing_account",
                    "detail": "no groupId, no context.groupId, and the user is of no known account",
                    "first_seen": "2026-03-01T12:34:56.789Z",
                }
            ]
        },
    )

    original_topic: str = Field(description="Topic the record came from.")
    original_partition: int = Field(ge=0, description="Its partition there.")
    original_offset: int = Field(ge=0, description="Its offset there.")
    reason: RejectReason = Field(description="Why it was refused.")
    detail: str = Field(
        max_length=DETAIL_CHARS_MAX, description="What is wrong, in words; never a part of the payload."
    )
    first_seen: str = Field(description="The record's own Kafka timestamp, RFC 3339.")

    original_bytes: int | None = Field(
        default=None, ge=0, description="Size of the original value, where it was too large to be kept whole."
    )

    def to_headers(self) -> list[tuple[str, bytes]]:
        """As Kafka headers."""
        headers = [
            (ORIGINAL_TOPIC_HEADER, self.original_topic.encode()),
            (ORIGINAL_PARTITION_HEADER, str(self.original_partition).encode()),
            (ORIGINAL_OFFSET_HEADER, str(self.original_offset).encode()),
            (REASON_HEADER, self.reason.value.encode()),
            (DETAIL_HEADER, self.detail.encode()),
            (FIRST_SEEN_HEADER, self.first_seen.encode()),
        ]
        if self.original_bytes is not None:
            headers.append((ORIGINAL_BYTES_HEADER, str(self.original_bytes).encode()))
        return headers

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> "DeadLetter":
        """Read back what `to_headers` wrote; raises pydantic's ValidationError if the record is no dead letter."""
        texts: Mapping[str, str] = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
        wanted = {
            "original_topic": ORIGINAL_TOPIC_HEADER,
            "original_partition": ORIGINAL_PARTITION_HEADER,
            "original_offset": ORIGINAL_OFFSET_HEADER,
            "reason": REASON_HEADER,
            "detail": DETAIL_HEADER,
            "first_seen": FIRST_SEEN_HEADER,
            "original_bytes": ORIGINAL_BYTES_HEADER,
        }
        return cls.model_validate({field: texts[header] for field, header in wanted.items() if header in texts})
