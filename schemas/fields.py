"""Types that several contracts share. What Pegel itself writes is strict: a wrong value is an error, not unknown."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints

from schemas.timestamps import parse_day, parse_ms
from streams.limits import ACCOUNT_ID_CHARS_MAX


def _time(text: str) -> str:
    if parse_ms(text) is None:
        raise ValueError("not an RFC 3339 date-time with an offset")
    return text


def _day(text: str) -> str:
    if parse_day(text) is None:
        raise ValueError("not a date YYYY-MM-DD")
    return text


Time: TypeAlias = Annotated[str, AfterValidator(_time), Field(json_schema_extra={"format": "date-time"})]
Day: TypeAlias = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
AccountId: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=ACCOUNT_ID_CHARS_MAX)]
