"""Control records: everything but events that can change a membership, in the same log as the events.

A record of `account.events.v1` with a header `pegel-control` is a control record; the header names its kind, the
value is JSON. Only Pegel writes them: intake drops headers that begin with `pegel-` from what producers send.
"""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

from schemas.dead_letter import Rejected, RejectReason
from schemas.fields import AccountId, Day, Name, Time
from schemas.timestamps import parse_day, parse_ms
from streams.limits import RECORD_BYTES_MAX

CONTROL_HEADER: Final = "pegel-control"

_FINITE: Final = Field(allow_inf_nan=False)


class ControlKind(StrEnum):
    """Kinds of control records, as the header names them."""

    CLOCK = "clock"
    THRESHOLDS = "thresholds"
    CATALOG = "catalog"
    ERASE = "erase"
    SKETCH = "sketch"


def _config(*examples: JsonValue) -> ConfigDict:
    return ConfigDict(frozen=True, extra="ignore", strict=True, json_schema_extra={"examples": list(examples)})


class Clock(BaseModel):
    """Arrival time has reached `at`."""

    model_config = _config({"at": "2026-03-01T12:34:56.789Z"})

    at: Time = Field(description="The arrival time reached.")

    @cached_property
    def at_ms(self) -> int:
        """`at` as a number."""
        ms = parse_ms(self.at)
        assert ms is not None, "validated"
        return ms


class MeasureThresholds(BaseModel):
    """One measure over all accounts."""

    model_config = ConfigDict(frozen=True, strict=True)

    count: int = Field(ge=0, description="Accounts with a value.")
    percentiles: list[Annotated[float, _FINITE]] = Field(description="The values at the percentiles, ascending.")


class Thresholds(BaseModel):
    """Where the measures' percentiles lie over all accounts, as of a day."""

    model_config = _config(
        {"day": "2026-03-01", "measures": {"depth_x_breadth": {"count": 3, "percentiles": [1.0, 4.5, 9.0]}}}
    )

    day: Day = Field(description="The day they are of.")
    measures: dict[Name, MeasureThresholds] = Field(description="By measure name.")

    @cached_property
    def day_number(self) -> int:
        """`day` as days since 1970-01-01."""
        number = parse_day(self.day)
        assert number is not None, "validated"
        return number

    @property
    def percentiles(self) -> dict[str, list[float]]:
        """The percentiles by measure name."""
        return {name: found.percentiles for name, found in self.measures.items()}


class CatalogChange(BaseModel):
    """From here on another catalog version applies; its content is in the catalogs topic too."""

    model_config = _config({"version": "d0c5e9f2a41b", "announce": False})

    version: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(description="Content hash.")
    announce: bool = Field(default=False, description="Whether the transitions it causes are delivered.")
    content: dict[str, JsonValue] | None = Field(
        default=None, description="The catalog itself, so that a dump of the log can be replayed on its own."
    )


class Erase(BaseModel):
    """Forget an account, or a user."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        json_schema_extra={
            "examples": [{"account_id": "acme"}, {"user_id": "u-17"}],
            "oneOf": [
                {"required": ["account_id"], "properties": {"account_id": {"type": "string"}}},
                {"required": ["user_id"], "properties": {"user_id": {"type": "string"}}},
            ],
        },
    )

    account_id: AccountId | None = Field(default=None, description="The account to forget.")
    user_id: Name | None = Field(default=None, description="The user to forget.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.account_id is None) == (self.user_id is None):
            raise ValueError("either account_id or user_id")
        return self


class Sketch(BaseModel):
    """What one partition's accounts are ranked by, as of a day: mergeable, for whoever writes the thresholds."""

    model_config = _config({"day": "2026-03-01", "partition": 3, "measures": {"depth_x_breadth": "AgEPAAAIAAg="}})

    day: Day = Field(description="The day whose start it is of.")
    partition: int = Field(ge=0, description="The partition it is about.")
    measures: dict[Name, str] = Field(description="By measure name: a KLL sketch of doubles, base64.")


Control: TypeAlias = Clock | Thresholds | CatalogChange | Erase | Sketch

MODELS: Final[dict[ControlKind, type[Clock | Thresholds | CatalogChange | Erase | Sketch]]] = {
    ControlKind.CLOCK: Clock,
    ControlKind.THRESHOLDS: Thresholds,
    ControlKind.CATALOG: CatalogChange,
    ControlKind.ERASE: Erase,
    ControlKind.SKETCH: Sketch,
}
_KINDS: Final[dict[bytes | None, ControlKind]] = {kind.value.encode(): kind for kind in ControlKind}


def decode_control(kind: str | bytes | None, raw: bytes | None) -> Control:
    """The control record of a header's and a record's value; raises `Rejected`."""
    known = _KINDS.get(kind.encode() if isinstance(kind, str) else kind)
    if known is None:
        raise Rejected(RejectReason.UNKNOWN_CONTROL, f"{CONTROL_HEADER} is none of {', '.join(ControlKind)}")
    if raw is None:
        raise Rejected(RejectReason.BAD_CONTROL, f"{known}: no value")
    if len(raw) > RECORD_BYTES_MAX:
        raise Rejected(RejectReason.TOO_LARGE, f"{len(raw)} bytes are more than {RECORD_BYTES_MAX}")
    try:
        return MODELS[known].model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Rejected(RejectReason.BAD_CONTROL, f"{known}: {place}: {first['msg']}") from None


def encode_control(control: Control) -> tuple[tuple[str, bytes], bytes]:
    """Header and value of its record."""
    kind = next(kind for kind, model in MODELS.items() if isinstance(control, model))
    return (CONTROL_HEADER, kind.value.encode()), control.model_dump_json(exclude_none=True).encode()
