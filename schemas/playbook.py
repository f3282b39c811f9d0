"""Playbooks: which transition is told to whom, in which words. What people write as YAML, beside the catalog.

These models check shape and limits. What each type of destination needs is checked by its connector's own config
(`streams.connectors`), where the text comes from and how `${VARIABLE}` gets its value by `streams.notify.playbooks`.

A play's `directions` read a move as people do: it is an entry into the segment moved to and an exit from the one
left. `moved` names moves alone, by the segment moved to.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from schemas.transition import Direction

ANY: Final = "*"
DESTINATIONS_MAX: Final = 50
PLAYS_MAX: Final = 500
TEMPLATES_MAX: Final = 500
TITLE_TEMPLATE_CHARS_MAX: Final = 1_000
BODY_TEMPLATE_CHARS_MAX: Final = 10_000
GIVE_UP_DEFAULT_H: Final = 72.0

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
SegmentName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]*)$", max_length=64)]
Hours = Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Destination(_Part):
    """Where messages go. Each connector's config adds the fields of its type."""

    id: Name
    type: str
    timeout_s: float = Field(10.0, gt=0, le=60, description="An attempt that takes longer has failed.")
    rate_per_s: float | None = Field(None, gt=0, le=10_000, description="At most so many messages a second and worker.")
    in_flight_max: int = Field(8, ge=1, le=256, description="At most so many attempts at once.")
    give_up_h: Hours = Field(GIVE_UP_DEFAULT_H, description="A delivery that fails for so long becomes a dead letter.")


class Template(_Part):
    """Words of a message, in sandboxed Jinja."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=TITLE_TEMPLATE_CHARS_MAX)]
    body: Annotated[str, StringConstraints(max_length=BODY_TEMPLATE_CHARS_MAX)] = ""


class Play(_Part):
    """Tell this destination about these transitions in these words."""

    id: Name
    segments: tuple[SegmentName, ...] = Field((ANY,), min_length=1, max_length=100)
    directions: tuple[Direction, ...] = Field((Direction.ENTERED,), min_length=1, max_length=3)
    group: SegmentName | None = None
    template: Name
    destination: Name
    enabled: bool = True
    max_age_h: Hours | None = Field(None, description="News older than this is not told; nothing: as the settings say.")
    announce_catalog_changes: bool = Field(
        default=False, description="Tell also what follows from a new version of the catalog alone."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        """`segment: x` is short for `segments: [x]`, likewise `direction`."""
        if not isinstance(value, dict):
            return value
        value = dict(value)
        for one, many in (("segment", "segments"), ("direction", "directions")):
            if one in value and many in value:
                raise ValueError(f"give {one} or {many}, not both")
            if one in value:
                value[many] = value.pop(one)
            if isinstance(value.get(many), str):
                value[many] = [value[many]]
        if not {"segments", "group"} & value.keys():
            raise ValueError('say which transitions: segment, segments or group; segment: "*" is every one')
        return value

    @field_validator("group")
    @classmethod
    def _a_group(cls, value: str | None) -> str | None:
        if value == ANY:
            raise ValueError("name one group, or leave it out")
        return value


class Playbook(_Part):
    """A whole file, after what it extends has been merged in."""

    format: Literal[1]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    destinations: tuple[Any, ...] = Field((), max_length=DESTINATIONS_MAX)
    """Each checked by its connector's config."""
    templates: dict[Name, Template] = Field(default_factory=dict, max_length=TEMPLATES_MAX)
    plays: tuple[Play, ...] = Field((), max_length=PLAYS_MAX)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        seen: set[str] = set()
        for play in self.plays:
            if play.id in seen:
                raise ValueError(f"two plays have the id {play.id!r}: rename one")
            seen.add(play.id)
        return self
