from datetime import UTC, date, datetime, timedelta

import pytest

from schemas import timestamps
from schemas.timestamps import (
    DATES_CACHED_MAX,
    DATES_HELD,
    DAY_MS,
    YEAR_1_MS,
    YEAR_9999_END_MS,
    format_day,
    format_ms,
    parse_day,
    parse_ms,
)

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-03-01T12:00:00.000Z", NOON),
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01t12:00:00z", NOON),
        ("2026-03-01 12:00:00Z", NOON),
        ("2026-03-01T12:00:00.000z", NOON),
        ("2026-03-01T12:00:00.5Z", NOON + 500),
        ("2026-03-01T12:00:00.05Z", NOON + 50),
        ("2026-03-01T12:00:00.0009Z", NOON),
        ("2026-03-01T12:00:00.9999999999999999999999Z", NOON + 999),
        ("2026-03-01T14:00:00.250+02:00", NOON + 250),
        ("2026-03-01T06:30:00-05:30", NOON),
        ("2026-03-01T12:00:00+00:00", NOON),
        ("2026-03-01T12:00:00-00:00", NOON),
        ("2026-03-02T11:59:00+23:59", NOON),
        ("1970-01-01T00:00:00.000Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("0001-01-01T00:00:00Z", YEAR_1_MS),
        ("9999-12-31T23:59:59.999Z", YEAR_9999_END_MS),
        ("0001-01-01T00:00:00+23:59", YEAR_1_MS - 86_340_000),
        ("9999-12-31T23:59:59.999-23:59", YEAR_9999_END_MS + 86_340_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.999Z", 1_483_228_800_000),
        ("2016-12-31T18:59:60-05:00", 1_483_228_800_000),
    ],
)
def test_a_date_time_with_an_offset_is_read(text: str, ms: int) -> None:
    assert parse_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.000",
        "2026-03-01T12:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:60:00Z",
        "2026-03-01T12:00:61Z",
        "2026-02-30T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-03-00T12:00:00Z",
        "0000-01-01T12:00:00Z",
        "10000-01-01T12:00:00Z",
        "-0001-01-01T12:00:00Z",
        "2026-3-1T12:00:00Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00,5Z",
        "2026-03-01T12:00:00+24:00",
        "2026-03-01T12:00:00+02:60",
        "2026-03-01T12:00:00+0200",
        "2026-03-01T12:00:00+02",
        "2026-03-01T12:00:00 Z",
        "2026-03-01T12:00:00Z\n",
        "\n2026-03-01T12:00:00Z",
        " 2026-03-01T12:00:00Z",
        "2026-03-01_12:00:00Z",
        "2026-03-01T12:00:00UTC",
        "+026-03-01T12:00:00Z",
        "2026-03-01T1_:00:00Z",
        "\uff12026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.\u0663Z",
        "2026-03-01T12:00:00." + "1" * 44 + "Z",
        "2026-W09-7T12:00:00Z",
        "20260301T120000Z",
    ],
)
def test_anything_else_is_unreadable(text: str) -> None:
    assert parse_ms(text) is None


def test_a_text_may_have_64_characters() -> None:
    assert parse_ms("2026-03-01T12:00:00." + "1" * 43 + "Z") == NOON + 111


def test_every_minute_of_a_day_reads_as_it_is_written() -> None:
    for minute in range(24 * 60):
        text = f"2026-03-01T{minute // 60:02}:{minute % 60:02}:07.089Z"
        ms = parse_ms(text)
        assert ms == NOON - 12 * 3_600_000 + minute * 60_000 + 7_089
        assert format_ms(ms) == text


def test_every_millisecond_of_a_minute_reads_as_it_is_written() -> None:
    for offset_ms in range(60_000):
        assert parse_ms(format_ms(NOON + offset_ms)) == NOON + offset_ms


@pytest.mark.parametrize("year", [1, 4, 100, 400, 1582, 1600, 1899, 1900, 1970, 2000, 2024, 2100, 9999])
def test_every_day_of_a_year_agrees_with_the_calendar(year: int) -> None:
    day = date(year, 1, 1)
    while day.year == year:
        days = day.toordinal() - date(1970, 1, 1).toordinal()
        assert parse_ms(f"{day.isoformat()}T00:00:00.001Z") == days * DAY_MS + 1
        assert parse_day(day.isoformat()) == days
        assert format_day(days) == day.isoformat()
        if day == date.max:
            break
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (YEAR_1_MS - 1, "+0000-12-31T23:59:59.999Z"),
        (YEAR_9999_END_MS + 1, "+10000-01-01T00:00:00.000Z"),
        (YEAR_1_MS - 366 * DAY_MS, "+0000-01-01T00:00:00.000Z"),
        (YEAR_1_MS - 366 * DAY_MS - 1, "-0001-12-31T23:59:59.999Z"),
        (YEAR_9999_END_MS + 1 + 59 * DAY_MS, "+10000-02-29T00:00:00.000Z"),
    ],
)
def test_years_beyond_rfc_3339_are_written_with_a_sign_and_not_read_back(ms: int, text: str) -> None:
    assert format_ms(ms) == text
    assert parse_ms(text) is None


def test_no_integer_is_too_large_to_be_written() -> None:
    for ms in (10**18, -(10**18), 10**30, -(10**30)):
        assert format_ms(ms).endswith("Z")


def test_the_tables_of_dates_are_bounded() -> None:
    start = datetime(1600, 1, 1, tzinfo=UTC)
    for day in range(DATES_CACHED_MAX + 10):
        text = (start + timedelta(days=day)).strftime("%Y-%m-%dT00:00:00.000Z")
        ms = parse_ms(text)
        assert ms is not None
        assert format_ms(ms) == text
    assert len(timestamps._dates_ms) <= DATES_CACHED_MAX
    assert len(timestamps._dates_held) == DATES_HELD


@pytest.mark.parametrize("text", ["", "2026-3-1", "2026-02-30", "2026-03-01T", "20260301", "\uff12026-03-01"])
def test_what_is_no_date_is_no_day(text: str) -> None:
    assert parse_day(text) is None
