"""What the notifier did about a transition, and why: one record in `playbook.actions.v1` per decision and attempt.

`Reason` is closed: the same words are the plan's decisions, metric labels, dead-letter headers and what stands with
each action. `ActionOutcome` sums them up in the four words that a report needs.
"""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.fields import AccountId, Name, Time

DETAIL_CHARS_MAX: Final = 200

_EXAMPLES: Final[list[JsonValue]] = [
    {
        "delivery_id": "8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e",
        "transition_id": "5b1a8a52-6a3c-5d0e-9f57-0f1f5d2c8a11",
        "account_id": "acme",
        "segment": "at_risk",
        "direction": "moved",
        "playbook": "at-risk",
        "destination": "sales-slack",
        "connector": "slack",
        "outcome": "delivered",
        "reason": "delivered",
        "attempt": 2,
        "at": "2026-03-01T12:34:58.004Z",
        "detail": "",
        "ref": None,
    }
]


class ActionOutcome(StrEnum):
    """What became of a delivery."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    """Failed in a way that may pass; it is tried again."""
    SUPPRESSED = "suppressed"
    """Not sent on purpose."""
    DEAD_LETTERED = "dead_lettered"
    """Permanently refused, or tried for long enough."""


class Reason(StrEnum):
    """Why the notifier did what it did."""

    # Planning: is there anything to deliver?
    PLANNED = "planned"
    NO_PLAY = "no_play"
    STALE = "stale"
    CATALOG_CHANGE = "catalog_change"
    REBUILD = "rebuild"
    ALREADY_OPEN = "already_open"
    # After an attempt that will be repeated
    THROTTLED = "throttled"
    RETRY_DESTINATION = "retry_destination"
    RETRY_RECORD = "retry_record"
    RETRY_AMBIGUOUS = "retry_ambiguous"
    RETRY_AUTH = "retry_auth"
    # The end of a delivery
    DELIVERED = "delivered"
    REJECTED = "rejected"
    DESTINATION_GONE = "destination_gone"
    EXPIRED = "expired"
    BACKLOG_FULL = "backlog_full"
    TEMPLATE_FAILED = "template_failed"
    PLAY_REMOVED = "play_removed"


class Action(BaseModel):
    """One decision about one delivery of one transition."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": _EXAMPLES})

    delivery_id: Name = Field(description="The same on every attempt: UUIDv5 of destination, transition and template.")
    transition_id: Name = Field(description="The transition that it tells of.")
    account_id: AccountId = Field(description="Its account.")
    segment: Name = Field(description="Its segment.")
    direction: Name = Field(description="Its direction.")
    playbook: Name = Field(description="Id of the play that asked for it.")
    destination: Name = Field(description="Id of the destination.")
    connector: Name = Field(description="Type of the destination.")
    outcome: ActionOutcome = Field(description="What became of it.")
    reason: Reason = Field(description="Why.")
    attempt: int = Field(ge=0, description="Attempts made so far; being throttled is none.")
    at: Time = Field(description="When, by the notifier's clock.")
    detail: str = Field(
        default="",
        max_length=DETAIL_CHARS_MAX,
        description="What the destination said, in the connector's own closed words; no secret, no payload.",
    )
    ref: str | None = Field(default=None, description="What the destination calls the message, if it says.")
