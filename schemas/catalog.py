"""The catalog: what RevOps people write. Weights, events, definitions, segments and groups, as one YAML document.

These models check shape and limits only. What a rule says is checked by the rule compiler
(`streams.engine.rules`); where the text comes from and what it extends is the business of `streams.catalogs`.
"""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from schemas.transition import FACTS_MAX

BILLING_EVENTS: Final = ("subscription_started", "subscription_cancelled", "plan_changed")
DEFAULT_SIGNALS: Final = (*BILLING_EVENTS, "nps_answered", "support_ticket_opened")

DEFAULT_ACCOUNT_FACTS: Final = ("name", "owner", "owner_email", "timezone")

SEGMENTS_MAX: Final = 500
RULE_CHARS_MAX: Final = 4_000
NAMES_MAX: Final = 256
WEIGHT_MAX: Final = 1_000_000


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
TraitName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
EventName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
RuleText = Annotated[
    str,
    BeforeValidator(_rule_text),
    StringConstraints(min_length=1, max_length=RULE_CHARS_MAX),
    WithJsonSchema({"type": ["string", "boolean", "number"], "minLength": 1, "maxLength": RULE_CHARS_MAX}),
]
Weight = Annotated[
    Decimal,
    BeforeValidator(_weight),
    Field(ge=-WEIGHT_MAX, le=WEIGHT_MAX, decimal_places=3),
    WithJsonSchema({"type": "number", "minimum": -WEIGHT_MAX, "maximum": WEIGHT_MAX}),
]
Days = Annotated[float, Field(ge=0, le=3_660, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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
    """Who enters; without exit_when, also who stays."""
    exit_when: RuleText | None = None
    """Who leaves. An account enters only while this does not hold."""
    min_dwell_days: Days = 0
    """Nobody leaves sooner after entering."""
    cooldown_days: Days = 0
    """Nobody enters again sooner after leaving."""
    group: Identifier | None = None
    """Of a group's segments an account is in one at most: the first that holds."""
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""
    owner: Annotated[str, StringConstraints(max_length=200)] = ""
    enabled: bool = True
    """A disabled segment is as if it were not there."""


class Catalog(_Part):
    """A whole catalog, after what it extends has been merged in."""

    format: Literal[1]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    trial_days: Days = 14
    """How long a trial lasts where no trait trialEndsAt says it."""
    timezone: str = "UTC"
    """Where days begin at midnight: a name such as Europe/Berlin."""
    weights: dict[EventName, Weight] = Field(default_factory=dict, max_length=NAMES_MAX)
    """What an event counts in score(); 1 unless listed."""
    core_features: tuple[EventName, ...] = Field(default=(), max_length=NAMES_MAX)
    """The events that core_features() counts."""
    signals: tuple[EventName, ...] = Field(default=DEFAULT_SIGNALS, max_length=NAMES_MAX)
    """Events that are no activity: they count under their own name only."""
    checklist: tuple[ChecklistStep, ...] = Field(default=(), max_length=64)
    """An account is activated when every step is done."""
    value_event: EventName | None = None
    """The event whose first time is first_value_at."""
    team_property: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "team"
    """Where an event says its team: a path below `properties`."""
    account_facts: tuple[TraitName, ...] = Field(default=DEFAULT_ACCOUNT_FACTS, max_length=FACTS_MAX)
    """Traits that go out with an account's transitions, for those who tell people of them: texts of 200 characters."""
    events: dict[Identifier, NamedEvent] = Field(default_factory=dict, max_length=64)
    """Events by their properties, under a second name."""
    measures: dict[Identifier, Measure] = Field(default_factory=dict, max_length=64)
    """Aggregates of properties, for measure()."""
    definitions: dict[Identifier, RuleText] = Field(default_factory=dict, max_length=NAMES_MAX)
    """Expressions by name: for rules, and shown with every membership."""
    segments: tuple[Segment, ...] = Field(max_length=SEGMENTS_MAX)
    """In the order in which transitions go out, and in which a group's segments are tried."""

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        seen: set[str] = set()
        for segment in self.segments:
            if segment.id in seen:
                raise ValueError(f"two segments have the id {segment.id!r}: rename one")
            seen.add(segment.id)
        return self


def _as_written(schema: dict[str, Any]) -> None:
    """A catalog that extends another need not have segments, nor say again what it leaves as it is."""
    schema["if"], schema["then"], schema["else"] = {"required": ["extends"]}, {}, {"required": ["segments"]}
    schema["examples"] = [
        {"format": 1, "name": "ours", "extends": "default", "weights": {"report_created": 3}},
        {"format": 1, "name": "own", "segments": [{"id": "quiet", "when": "since(last_active_at) > 14"}]},
    ]


class SegmentEntry(Segment):
    """A segment, or what is to be different in the one of this id that is extended."""

    when: RuleText = ""
    """Who enters; without exit_when, also who stays."""


class CatalogFile(Catalog):
    """A catalog as a file has it: for editors, which complete and check it while it is written."""

    model_config = ConfigDict(json_schema_extra=_as_written)

    extends: str | None = None
    """A built-in's name (default, oss) or a path relative to this file; what stands here is laid over it."""
    segments: tuple[SegmentEntry, ...] = Field(default=(), max_length=SEGMENTS_MAX)
    """In the order in which transitions go out, and in which a group's segments are tried; overridden by id."""
