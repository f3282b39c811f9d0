"""When people want to be spoken to: time zones, times of day, quiet hours, business days, cron.

Only what such an entry may say; what follows from it at a given moment is decided by `streams.notify.plan`.
"""

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

ZONE_CHARS_MAX: Final = 64
ZONES_CACHED_MAX: Final = 1_024
CRON_CHARS_MAX: Final = 100
HOLIDAYS_MAX: Final = 366
DAY_MINUTES: Final = 24 * 60
_ZONE_SHAPE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_CLOCK_SHAPE: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class ZoneOf(StrEnum):
    """Whose clock on the wall counts."""

    ACCOUNT = "account"
    """The account's trait `timezone`, else the destination's."""
    OWNER = "owner"
    """The zone of the play's owner, else the destination's."""
    DESTINATION = "destination"


@lru_cache(ZONES_CACHED_MAX)
def zone(name: str) -> ZoneInfo | None:
    """The zone of a name as `Europe/Berlin`, which may come from anywhere; None if there is none."""
    if len(name) > ZONE_CHARS_MAX or _ZONE_SHAPE.fullmatch(name) is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None


def _zone_name(text: str) -> str:
    if zone(text) is None:
        raise ValueError("there is no such time zone; write it as Europe/Berlin or UTC")
    return text


def _minutes(value: Any) -> Any:
    """Minutes since midnight. YAML reads 18:00 without quotes as the number 1080, which is the same."""
    if isinstance(value, int) and not isinstance(value, bool) and 60 <= value <= DAY_MINUTES:
        return value
    shape = _CLOCK_SHAPE.fullmatch(value) if isinstance(value, str) else None
    if shape is None or (minutes := int(shape[1]) * 60 + int(shape[2])) > DAY_MINUTES:
        raise ValueError('is no time of day; write it as "18:00"')
    return minutes


def _cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError('write five fields: minute, hour, day, month, weekday, as in "0 8 * * mon-fri"')
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"is no cron expression: {error}".removesuffix(".")) from None
    except StopIteration:
        raise ValueError("is a cron expression that never comes true") from None
    return text


ZoneName = Annotated[str, AfterValidator(_zone_name)]
ClockTime = Annotated[
    int,
    BeforeValidator(_minutes),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["18:00"]}),
]
Cron = Annotated[str, Field(max_length=CRON_CHARS_MAX), AfterValidator(_cron)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Calendar(_Part):
    """On which days people work."""

    business_days: tuple[Weekday, ...] = Field(
        (Weekday.MON, Weekday.TUE, Weekday.WED, Weekday.THU, Weekday.FRI), min_length=1, max_length=7
    )
    holidays: tuple[date, ...] = Field((), max_length=HOLIDAYS_MAX)
    """Days on which nobody works, as 2026-12-25: quiet from midnight to midnight wherever there are quiet hours."""


class QuietHours(_Part):
    """When nothing is sent. What comes up waits, and is looked at again at the end."""

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    """May be earlier than `from`: then the quiet hours go past midnight."""
    weekends: bool = False
    """Days that are no business days are quiet as a whole."""
    zone: ZoneOf = ZoneOf.DESTINATION

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.start % DAY_MINUTES == self.end % DAY_MINUTES:
            raise ValueError("from and to are the same: leave a time at which something may be sent")
        return self
