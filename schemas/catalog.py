"""The catalog: what RevOps people write. Weights, events, definitions, segments and groups, as one YAML document.

These models check shape and limits only. What a rule says is checked by the rule compiler
(`streams.engine.rules`); where the text comes from and what it extends is the business of `streams.catalogs`.
"""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

BILLING_EVENTS: Final = ("subscription_started", "subscription_cancelled", "plan_changed")
DEFAULT_SIGNALS: Final = (*BILLING_EVENTS, "nps_answered", "support_ticket_opened")

SEGMENTS_MAX: Final = 500
RULE_CHARS_MAX: Final = 4_000
NAMES_MAX: Final = 256


def _rule_text(value: Any) -> Any:
    """YAML reads an unquoted True, 1 or 0.5 as no text; as a rule they are plain constants."""
    return str(value) if isinstance(value, bool | int | float) else value


def _weight(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("a weight is a number")  # noqa: TRY004 - what pydantic turns into an error with a place
    try:
        weight = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("a weight is a number") from None
    if not weight.is_finite():
        raise ValueError("a weight is a finite number")
    return weight


Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
EventName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
RuleText = Annotated[str, BeforeValidator(_rule_text), StringConstraints(min_length=1, max_length=RULE_CHARS_MAX)]
Weight = Annotated[Decimal, BeforeValidator(_weight), Field(ge=-1_000_000, le=1_000_000, decimal_places=3)]
Days = Annotated[float, Field(ge=0, le=3_660, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChecklistStep(_Part):
    """A step of activation: done when the event has been applied `count` times."""

    event: EventName
    count: int = Field(default=1, ge=1, le=1_000_000)


class NamedEvent(_Part):
    """An event under a second name, if its properties satisfy `where`."""

    event: EventName
    where: RuleText


class Aggregate(StrEnum):
    sum = "sum"
    max = "max"
    min = "min"
    last = "last"
    unique = "unique"


class Measure(_Part):
    """An aggregate of a property of an event, per day."""

    event: EventName
    property: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    aggregate: Aggregate


class Segment(_Part):
    """A segment: the rule by which an account enters, and optionally the one by which it leaves."""

    id: Identifier
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    when: RuleText
    exit_when: RuleText | None = None
    min_dwell_days: Days = 0
    cooldown_days: Days = 0
    group: Identifier | None = None
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""
    owner: Annotated[str, StringConstraints(max_length=200)] = ""
    enabled: bool = True


class Catalog(_Part):
    """A whole catalog, after what it extends has been merged in."""

    format: Literal[1]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    trial_days: Days = 14
    timezone: str = "UTC"
    weights: dict[EventName, Weight] = Field(default_factory=dict, max_length=NAMES_MAX)
    core_features: tuple[EventName, ...] = Field(default=(), max_length=NAMES_MAX)
    signals: tuple[EventName, ...] = Field(default=DEFAULT_SIGNALS, max_length=NAMES_MAX)
    checklist: tuple[ChecklistStep, ...] = Field(default=(), max_length=64)
    value_event: EventName | None = None
    team_property: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "team"  # a path below `properties`
    events: dict[Identifier, NamedEvent] = Field(default_factory=dict, max_length=64)
    measures: dict[Identifier, Measure] = Field(default_factory=dict, max_length=64)
    definitions: dict[Identifier, RuleText] = Field(default_factory=dict, max_length=NAMES_MAX)
    segments: tuple[Segment, ...] = Field(max_length=SEGMENTS_MAX)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        seen: set[str] = set()
        for segment in self.segments:
            if segment.id in seen:
                raise ValueError(f"two segments have the id {segment.id!r}: rename one")
            seen.add(segment.id)
        return self
