"""What the notifier did about a transition, and why: one record in `playbook.actions.v1` per decision and attempt.

`Reason` is closed: the same words are the plan's decisions, metric labels, dead-letter headers and what stands with
each action. `ActionOutcome` sums them up in the few words that a report needs. An action `exposed` is no end of
anything: it says, for accounts that are told and for those that are held out alike, that now was the moment.
"""

from enum import StrEnum
from typing import Final, Literal

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
        "kind": "note",
        "items": [],
        "arm": None,
        "scheduled_at": None,
    },
    {
        "delivery_id": "0d1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e",
        "transition_id": "5b1a8a52-6a3c-5d0e-9f57-0f1f5d2c8a11",
        "account_id": "acme",
        "segment": "highly_engaged_trial",
        "direction": "entered",
        "playbook": "call-now",
        "destination": "sales-slack",
        "connector": "slack",
        "outcome": "exposed",
        "reason": "exposed",
        "attempt": 0,
        "at": "2026-03-01T12:34:58.004Z",
        "detail": "",
        "ref": None,
        "kind": "note",
        "items": [],
        "arm": "control",
        "scheduled_at": None,
    },
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
    DEFERRED = "deferred"
    """Waits for its time; then it is told, or suppressed with a reason."""
    EXPOSED = "exposed"
    """The account would be told now; `arm` says whether it is."""


class Arm(StrEnum):
    """Of a comparison: who is told, and who is not so that one can tell whether telling helps."""

    TREATMENT = "treatment"
    CONTROL = "control"


class Reason(StrEnum):
    """Why the notifier did what it did."""

    # Planning: is there anything to deliver?
    PLANNED = "planned"
    STALE = "stale"
    CATALOG_CHANGE = "catalog_change"
    REBUILD = "rebuild"
    ALREADY_OPEN = "already_open"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    COOLDOWN = "cooldown"
    REENTRY = "reentry"
    HOLDOUT = "holdout"
    NO_LONGER_TRUE = "no_longer_true"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    EMPTY_LIST = "empty_list"
    EXPOSED = "exposed"
    # Planning: not now
    QUIET_HOURS = "quiet_hours"
    GROUPED = "grouped"
    GATHERED = "gathered"
    DWELLING = "dwelling"
    NEXT_STEP = "next_step"
    IN_ORDER = "in_order"
    OVER_BUDGET = "over_budget"
    # Planning: told as a number only, or more than may wait
    GROUP_FULL = "group_full"
    BUDGET_FULL = "budget_full"
    WAITING_FULL = "waiting_full"
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
    kind: Literal["note", "digest", "list", "test"] = Field(
        default="note", description="About one transition, about several, or about the members of a segment."
    )
    items: list[Name] = Field(
        default_factory=list, description="Of a digest, the transitions it tells of; of a list, its accounts."
    )
    arm: Arm | None = Field(default=None, description="Where plays are measured: whether the account is told.")
    scheduled_at: Time | None = Field(
        default=None, description="When a deferred message is looked at again; when a scheduled one was due."
    )
