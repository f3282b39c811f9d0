"""Playbooks: which transition is told to whom, when, in which words. What people write as YAML, beside the catalog.

These models check shape and limits. What each type of destination needs is checked by its connector's own config
(`streams.connectors`), where the text comes from and how `${VARIABLE}` gets its value by `streams.notify.playbooks`.

A play's `directions` read a move as people do: it is an entry into the segment moved to and an exit from the one
left. `moved` names moves alone, by the segment moved to. `on` is the general form: a direction, `dwell_days` (an entry
that lasted), or `digest` (at times of a cron expression: what has gathered since, or with `list` who is in a segment).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator, model_validator

from schemas.goal import GOAL_CHARS_MAX, Term, parse_goal
from schemas.schedule import Calendar, Cron, QuietHours, ZoneName
from schemas.transition import Direction

ANY: Final = "*"
DESTINATIONS_MAX: Final = 50
PLAYS_MAX: Final = 500
TEMPLATES_MAX: Final = 500
GOALS_MAX: Final = 100
STEPS_MAX: Final = 20
TIMES_MAX: Final = 100
OWNERS_MAX: Final = 1_000
NAMES_MAX: Final = 100
LIST_MAX: Final = 100
GROUP_MAX: Final = 100
TITLE_TEMPLATE_CHARS_MAX: Final = 1_000
BODY_TEMPLATE_CHARS_MAX: Final = 10_000
LINK_TEMPLATE_CHARS_MAX: Final = 3_000
LINKS_MAX: Final = 5
GIVE_UP_DEFAULT_H: Final = 72.0

NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]*$"
SEGMENT_PATTERN: Final = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
SegmentName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]*)$", max_length=64)]
OneSegment = Annotated[str, StringConstraints(pattern=SEGMENT_PATTERN, max_length=64)]
FactName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Hours = Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, le=3_660, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Grouping(_Part):
    """Several messages of a destination become one, so that a flood is a digest."""

    wait_s: float = Field(30.0, ge=0, le=86_400, allow_inf_nan=False)
    """How long the first waits for others."""
    interval_s: float = Field(300.0, ge=0, le=86_400, allow_inf_nan=False)
    """How long after a message of a group the next one may follow."""
    by: tuple[Literal["segment", "direction", "play", "account", "owner"], ...] = Field(("segment",), max_length=5)
    """What messages of one group have in common; nothing: all of the destination are one group."""
    max: int = Field(20, ge=1, le=GROUP_MAX)
    """So many are told in full; what is more is told as a number."""
    template: Name | None = None
    """The words of a message about several; nothing: a plain list of them."""


class Destination(_Part):
    """Where messages go. Each connector's config adds the fields of its type."""

    id: Name
    type: str
    timeout_s: float = Field(10.0, gt=0, le=60, description="An attempt that takes longer has failed.")
    rate_per_s: float | None = Field(None, gt=0, le=10_000, description="At most so many messages a second.")
    in_flight_max: int = Field(8, ge=1, le=256, description="At most so many attempts at once.")
    give_up_h: Hours = Field(GIVE_UP_DEFAULT_H, description="A delivery that fails for so long becomes a dead letter.")
    timezone: ZoneName | None = Field(None, description="Where its readers are; nothing: as the playbook says.")
    quiet_hours: QuietHours | None = None
    budget_per_day: int | None = Field(
        None, ge=1, le=1_000_000, description="More messages in a day of its zone are held, and told in one summary."
    )
    summary_template: Name | None = Field(None, description="The words of that summary; nothing: a plain list.")
    group: Grouping | None = None


class LinkTemplate(_Part):
    """Where a message leads to."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=TITLE_TEMPLATE_CHARS_MAX)]
    url: Annotated[str, StringConstraints(min_length=1, max_length=LINK_TEMPLATE_CHARS_MAX)]
    """`{{ "https://..." | tracked }}` makes visits come back as events, where links are set up."""


class Template(_Part):
    """Words of a message, in sandboxed Jinja."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=TITLE_TEMPLATE_CHARS_MAX)]
    body: Annotated[str, StringConstraints(max_length=BODY_TEMPLATE_CHARS_MAX)] = ""
    links: tuple[LinkTemplate, ...] = Field((), max_length=LINKS_MAX)
    """Something to do about it: buttons where the destination has them. What comes out empty is left out."""


class On(_Part):
    """What starts a play, if it is not a transition alone."""

    dwell_days: Days | None = None
    """The account has been in the segment for so long."""
    digest: Cron | None = None
    """At these times, in the destination's zone."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.dwell_days is None) == (self.digest is None):
            raise ValueError("give one of dwell_days and digest, or entered, exited or moved")
        return self


class Roster(_Part):
    """Who is in a segment: the longest lists have the first `top`, in order."""

    segment: OneSegment
    sort: FactName | None = None
    """A definition of the catalog (a key number of the membership); nothing: since when they are in it."""
    order: Literal["asc", "desc"] = "desc"
    top: int = Field(20, ge=1, le=LIST_MAX)


class Reentry(_Part):
    """How often one account is told of by a play: always, once, or once in so many days."""

    every_days: Days | None = None
    once: bool = False

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if value in ("always", "once"):
            return {"once": value == "once"}
        if not isinstance(value, Mapping) or set(value) - {"once"} != {"every_days"}:
            raise ValueError("write always, once, or {every_days: 30}")
        return value


class Step(_Part):
    """A message after the first: so long after it, or again and again."""

    after_days: Days | None = None
    """After the first message."""
    every_days: Days | None = None
    """After the message before, `times` times."""
    times: int | None = Field(None, ge=1, le=TIMES_MAX)
    template: Name
    holds: bool | OneSegment = Field(default=True, alias="while")
    """Asked again before it is sent: what started the play still holds; or the account is in this segment."""

    @field_validator("holds", mode="before")
    @classmethod
    def _condition(cls, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(SEGMENT_PATTERN, value)):
            return value
        raise ValueError("write true, false, or the name of one segment")

    @model_validator(mode="after")
    def _when(self) -> Self:
        if (self.after_days is None) == (self.every_days is None):
            raise ValueError("give one of after_days and every_days")
        if self.times is not None and self.every_days is None:
            raise ValueError("times goes with every_days")
        return self


class StopOn(_Part):
    """What ends the further messages before they have all been sent."""

    exit: bool = False
    """The account leaves the segment that started the play."""
    goal: Name | bool = False
    """One of the playbook's goals is reached, or with `true` the play's own."""
    enters: tuple[OneSegment, ...] = Field((), max_length=NAMES_MAX)

    @field_validator("goal", mode="before")
    @classmethod
    def _a_goal(cls, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(NAME_PATTERN, value)):
            return value
        raise ValueError("write true, or the name of one of the goals")


class Goal(_Part):
    """What the play is meant to lead to, and within which time."""

    enters: OneSegment | None = None
    exits: OneSegment | None = None
    reaches: Name | None = None
    """One of the playbook's goals."""
    within_days: Days

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(one is not None for one in (self.enters, self.exits, self.reaches)) != 1:
            raise ValueError("give one of enters, exits and reaches")
        return self


class Owner(_Part):
    """Whom a message concerns, by a trait of the account."""

    trait: FactName
    map: dict[str, str] = Field(default_factory=dict, max_length=OWNERS_MAX)
    """From the trait's value to what the destination calls the person; without it the value is taken as it is."""
    default: str | None = None
    """Where the trait is missing or not in the map."""
    zones: dict[str, ZoneName] = Field(default_factory=dict, max_length=OWNERS_MAX)
    """From the trait's value to the person's time zone."""


def _schema_of_play(schema: dict[str, Any]) -> None:
    """The short forms that `_one_or_many` takes."""
    known = schema["properties"]
    segment, direction = known["segments"]["items"], known["directions"]["items"]
    on, reentry = known["on"]["anyOf"][0], known["reentry"]["anyOf"][0]
    known["segment"], known["direction"] = segment, direction
    known["on"] = {"anyOf": [direction, on]}
    known["reentry"] = {"anyOf": [{"enum": ["always", "once"]}, reentry]}
    for name, item in (("segments", segment), ("directions", direction)):
        known[name] = {**known[name], "anyOf": [{"type": "array"}, item]}
        known[name].pop("type")


class Play(_Part):
    """Tell this destination about these transitions in these words."""

    model_config = ConfigDict(json_schema_extra=_schema_of_play)

    id: Name
    on: On | None = None
    segments: tuple[SegmentName, ...] = Field((ANY,), min_length=1, max_length=NAMES_MAX)
    directions: tuple[Direction, ...] = Field((Direction.ENTERED,), min_length=1, max_length=3)
    group: SegmentName | None = None
    roster: Roster | None = Field(None, alias="list")
    template: Name
    destination: Name
    enabled: bool = True
    max_age_h: Hours | None = Field(None, description="News older than this is not told; nothing: as the settings say.")
    announce_catalog_changes: bool = Field(
        default=False, description="Tell also what follows from a new version of the catalog alone."
    )
    cooldown_days: Days | None = Field(
        None, description="Not again so soon about the same account and segment at this destination, by any play."
    )
    reentry: Reentry | None = Field(None, description="How often an account is told of by this play; else always.")
    inhibited_by: tuple[OneSegment, ...] = Field(
        (), max_length=NAMES_MAX, description="Nothing while the account is in one of these."
    )
    steps: tuple[Step, ...] = Field((), max_length=STEPS_MAX)
    stop_on: StopOn | None = None
    holdout_percent: Percent = Field(0.0, description="Share of accounts that are not told, to compare with.")
    goal: Goal | None = None
    owner: Owner | None = None
    edits: bool = Field(
        default=False,
        description="A further message about the same account, or the next list, takes the place of the one before, "
        "where the destination can edit.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        """`segment: x` is short for `segments: [x]`, likewise `direction`, and `on: entered`."""
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if isinstance(value.get("on"), str):
            if {"direction", "directions"} & value.keys():
                raise ValueError("give on or direction, not both")
            value["directions"] = value.pop("on")
        for one, many in (("segment", "segments"), ("direction", "directions")):
            if one in value and many in value:
                raise ValueError(f"give {one} or {many}, not both")
            if one in value:
                value[many] = value.pop(one)
            if isinstance(value.get(many), str):
                value[many] = [value[many]]
        if not {"segments", "group", "list"} & value.keys():
            raise ValueError('say which transitions: segment, segments or group; segment: "*" is every one')
        return value

    @field_validator("group")
    @classmethod
    def _a_group(cls, value: str | None) -> str | None:
        if value == ANY:
            raise ValueError("name one group, or leave it out")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.roster is not None and self.cron is None:
            raise ValueError('a list needs its times: on: {digest: "0 8 * * mon-fri"}')
        if self.roster is not None and {"segments", "group", "directions"} & self.model_fields_set:
            raise ValueError("a list says its segment itself: leave out segment, group and direction")
        if self.roster is not None and self.cooldown_days is not None:
            raise ValueError("a list has no cooldown_days: it says who is in the segment, as often as it comes")
        if self.cron is not None and (self.steps or self.reentry):
            raise ValueError("what is gathered for certain times has no steps and no reentry")
        if self.dwell_days is not None and self.directions != (Direction.ENTERED,):
            raise ValueError("dwell_days begins with an entry: leave out direction")
        if self.stop_on is not None and not self.steps:
            raise ValueError("stop_on ends steps, and there are none")
        after = [step.after_days for step in self.steps if step.after_days is not None]
        if sorted(set(after)) != after:
            raise ValueError("steps stand in the order of their after_days, each later than the one before")
        if self.stop_on is not None and self.stop_on.goal is True and self.goal is None:
            raise ValueError("stop_on names the play's goal, and it has none")
        return self

    @property
    def cron(self) -> str | None:
        return None if self.on is None else self.on.digest

    @property
    def dwell_days(self) -> float | None:
        return None if self.on is None else self.on.dwell_days

    @property
    def templates(self) -> tuple[str, ...]:
        """All that its messages are written with."""
        return (self.template, *(step.template for step in self.steps))


_EXAMPLES: Final[list[JsonValue]] = [
    {
        "format": 1,
        "name": "acme",
        "timezone": "Europe/Berlin",
        "holdout_percent": 5,
        "holdout_salt": "2026",
        "calendar": {"business_days": ["mon", "tue", "wed", "thu", "fri"], "holidays": ["2026-12-25"]},
        "destinations": [
            {
                "id": "team",
                "type": "slack",
                "url": "${PEGEL_SLACK_WEBHOOK_URL}",
                "quiet_hours": {"from": "18:00", "to": "08:00", "weekends": True, "zone": "account"},
                "budget_per_day": 40,
                "group": {"wait_s": 30, "interval_s": 300, "by": ["segment"], "max": 20},
            }
        ],
        "templates": {
            "spike": {
                "title": "{{ name }}: call now",
                "body": "{{ evidence | why }}",
                "links": [{"label": "Open", "url": "https://crm.example.com/{{ account | urlencode }}"}],
            }
        },
        "goals": {"converted": 'entered("customer")'},
        "plays": [
            {
                "id": "call-now",
                "on": "entered",
                "segment": "highly_engaged_trial",
                "template": "spike",
                "destination": "team",
                "cooldown_days": 7,
                "reentry": {"every_days": 30},
                "inhibited_by": ["churned"],
                "steps": [
                    {"after_days": 3, "template": "spike", "while": True},
                    {"every_days": 42, "times": 8, "template": "spike"},
                ],
                "stop_on": {"exit": True, "goal": "converted", "enters": ["churned"]},
                "holdout_percent": 10,
                "goal": {"enters": "customer", "within_days": 14},
                "owner": {"trait": "owner", "map": {"anna@example.com": "U123"}, "default": "#sales"},
            },
            {
                "id": "two-weeks",
                "on": {"dwell_days": 14},
                "segment": "at_risk",
                "template": "spike",
                "destination": "team",
            },
            {
                "id": "morning-list",
                "on": {"digest": "0 8 * * mon-fri"},
                "list": {"segment": "expiring_trial", "sort": "activation_rate", "order": "desc", "top": 20},
                "template": "spike",
                "destination": "team",
            },
        ],
    }
]


def _schema_of_playbook(schema: dict[str, Any]) -> None:
    schema["properties"]["extends"] = {"type": "string", "description": "A built-in's name or a file to be laid over."}
    schema["properties"]["destinations"]["items"] = {"type": "object", "required": ["id", "type"]}
    schema["examples"] = _EXAMPLES


class Playbook(_Part):
    """A whole file, after what it extends has been merged in."""

    model_config = ConfigDict(json_schema_extra=_schema_of_playbook)

    format: Literal[1]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    timezone: ZoneName = "UTC"
    holdout_percent: Percent = 0.0
    """Share of accounts that are told of by no play, to compare with."""
    holdout_salt: Annotated[str, StringConstraints(max_length=100)] = ""
    """Another text draws other accounts; nothing: the playbook's name."""
    calendar: Calendar = Calendar()
    destinations: tuple[Any, ...] = Field((), max_length=DESTINATIONS_MAX)
    """Each checked by its connector's config."""
    templates: dict[Name, Template] = Field(default_factory=dict, max_length=TEMPLATES_MAX)
    goals: dict[Name, Annotated[str, StringConstraints(max_length=GOAL_CHARS_MAX)]] = Field(
        default_factory=dict, max_length=GOALS_MAX
    )
    """By name, as `entered("customer")`."""
    plays: tuple[Play, ...] = Field((), max_length=PLAYS_MAX)

    @field_validator("goals")
    @classmethod
    def _goals(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            try:
                parse_goal(text)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        return value

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        seen: set[str] = set()
        for play in self.plays:
            if play.id in seen:
                raise ValueError(f"two plays have the id {play.id!r}: rename one")
            seen.add(play.id)
        return self

    @property
    def salt(self) -> str:
        return self.holdout_salt or self.name

    def goal_terms(self, play: Play) -> tuple[Term, ...]:
        """The transitions of which any reaches the play's goal; none if it has none."""
        goal = play.goal
        if goal is None:
            return ()
        if goal.reaches is not None:
            return parse_goal(self.goals[goal.reaches]) if goal.reaches in self.goals else ()
        return ((Direction.ENTERED, goal.enters),) if goal.enters else ((Direction.EXITED, goal.exits or ""),)
