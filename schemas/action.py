"""What was done about a transition: one record per attempt to deliver it, for reports and audits."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.fields import AccountId, Name, Time

_EXAMPLES: Final[list[JsonValue]] = [
    {
        "delivery_id": "8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e",
        "transition_id": "5b1a8a52-6a3c-5d0e-9f57-0f1f5d2c8a11",
        "account_id": "acme",
        "playbook": "trial-activated",
        "destination": "sales-slack",
        "connector": "slack",
        "outcome": "delivered",
        "attempt": 2,
        "at": "2026-03-01T12:34:58.004Z",
        "detail": "200",
    }
]


class Outcome(StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    """Failed in a way that may pass; it is tried again."""
    REFUSED = "refused"
    """Permanently refused by the destination, or its attempts used up: dead-lettered."""
    SUPPRESSED = "suppressed"
    """Not sent on purpose: too old, not to be announced, or to be kept quiet."""


class Action(BaseModel):
    """One attempt to carry a transition to a destination."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": _EXAMPLES})

    delivery_id: Name = Field(description="Same on every attempt of one delivery.")
    transition_id: Name = Field(description="The transition delivered.")
    account_id: AccountId = Field(description="Its account.")
    playbook: Name = Field(description="The playbook that asked for it.")
    destination: Name = Field(description="The destination's name in the playbooks.")
    connector: Name = Field(description="The kind of destination.")
    outcome: Outcome = Field(description="What became of it.")
    attempt: int = Field(ge=0, description="1 for the first attempt; 0 if none was made.")
    at: Time = Field(description="When, by the notifier's clock.")
    detail: str | None = Field(
        default=None, max_length=200, description="What the destination said; no secret, no payload."
    )
