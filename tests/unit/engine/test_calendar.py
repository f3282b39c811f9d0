from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.timestamps import YEAR_1_MS, YEAR_9999_END_MS, parse_ms
from streams.engine.calendar import DAY_MS, Calendar, ZoneCalendar, calendar_of

HOUR_MS = 3_600_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # midnight did not exist on the first day of summer time
    "America/St_Johns",  # until 2011 clocks went back at one minute past midnight
    "America/Toronto",  # in 1919 clocks went forward at half past eleven in the evening
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",  # 2011-12-30 did not happen
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Africa/Monrovia",  # seconds in the offset
)
calendars = st.sampled_from([calendar_of(zone) for zone in ZONES])
modern = st.integers(-3_000_000_000_000, 4_000_000_000_000)
any_time = st.integers(YEAR_1_MS, YEAR_9999_END_MS)


def ms(text: str) -> int:
    found = parse_ms(text)
    assert found is not None
    return found


def day(text: str) -> int:
    return ms(f"{text}T00:00:00Z") // DAY_MS


def local_day(zone: str, time_ms: int) -> int:
    return (EPOCH + timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone)).toordinal() - EPOCH.toordinal()


@given(any_time)
@example(0)
@example(-1)
def test_a_utc_day_is_whole_days_since_1970(time_ms: int) -> None:
    calendar = Calendar()
    found = calendar.day_of(time_ms)
    assert calendar.start_of(found) <= time_ms < calendar.start_of(found + 1)
    assert calendar.start_of(found + 1) - calendar.start_of(found) == DAY_MS


@given(calendars, modern | any_time)
@example(calendar_of("America/St_Johns"), ms("2010-11-07T02:30:30Z"))
@example(calendar_of("Pacific/Apia"), ms("2011-12-30T10:00:00Z"))
@example(calendar_of("Pacific/Apia"), ms("2011-12-30T09:59:59.999Z"))
@example(calendar_of("Europe/Berlin"), YEAR_1_MS)
@example(calendar_of("Pacific/Kiritimati"), YEAR_9999_END_MS)
def test_a_time_lies_in_its_day(calendar: Calendar, time_ms: int) -> None:
    found = calendar.day_of(time_ms)
    assert calendar.start_of(found) <= time_ms < calendar.start_of(found + 1)


@given(calendars, modern | any_time, st.integers(0, 3 * DAY_MS))
def test_days_never_go_backward(calendar: Calendar, time_ms: int, later_ms: int) -> None:
    assert calendar.day_of(time_ms) <= calendar.day_of(time_ms + later_ms)


@given(calendars, st.integers(day("0001-01-01") - 3, day("9999-12-31") + 3))
def test_days_start_one_after_another(calendar: Calendar, number: int) -> None:
    assert calendar.start_of(number) <= calendar.start_of(number + 1)


@given(st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo"]), modern)
@example("America/Sao_Paulo", ms("2018-11-04T03:00:00Z"))
@example("America/Sao_Paulo", ms("2018-11-04T02:59:59.999Z"))
def test_a_day_bears_the_local_date(zone: str, time_ms: int) -> None:
    """In zones whose date never goes back; see below for those where it does."""
    assert calendar_of(zone).day_of(time_ms) == local_day(zone, time_ms)


@pytest.mark.parametrize(
    ("zone", "date", "start", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", 23),  # 00:00 did not exist: the day began at 01:00
        ("America/Sao_Paulo", "2019-02-16", "2019-02-16T02:00:00Z", 25),  # 23:00 came twice
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00Z", 23.5),  # began at 00:30
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", 24),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", 0),  # skipped
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", 24.5),
    ],
)
def test_a_day_starts_at_the_first_instant_of_its_date(zone: str, date: str, start: str, hours: float) -> None:
    calendar = calendar_of(zone)
    assert calendar.start_of(day(date)) == ms(start)
    assert calendar.start_of(day(date) + 1) - calendar.start_of(day(date)) == hours * HOUR_MS


@pytest.mark.parametrize("year", [1988, 1999, 2010])
def test_a_day_that_began_has_begun_though_clocks_go_back_over_midnight(year: int) -> None:
    """St. John's set its clocks back at 00:01: the new date came for a minute, went for an hour, and came again."""
    calendar, zone = calendar_of("America/St_Johns"), "America/St_Johns"
    autumn = range(ms(f"{year}-10-20T00:00:00Z"), ms(f"{year}-11-12T00:00:00Z"), 30_000)
    backward = [at for at in autumn if local_day(zone, at) < local_day(zone, at - 30_000)]
    assert len(backward) == 1, "clocks went back over midnight once a year"
    began = backward[0] - 60_000
    assert calendar.start_of(local_day(zone, began)) == began
    assert calendar.day_of(backward[0]) == calendar.day_of(began) == calendar.day_of(began - 1) + 1


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("time_ms", [YEAR_1_MS, YEAR_9999_END_MS, YEAR_1_MS - 10 * DAY_MS, YEAR_9999_END_MS * 100])
def test_the_ends_of_time_have_a_day(zone: str, time_ms: int) -> None:
    calendar = calendar_of(zone)
    assert abs(calendar.day_of(time_ms) - time_ms // DAY_MS) <= 1


def test_starts_are_remembered_within_a_bound() -> None:
    calendar = ZoneCalendar(ZoneInfo("Europe/Berlin"))
    first = calendar.start_of(0)
    for number in range(5_000):
        calendar.start_of(number)
    assert len(calendar._starts) <= 4_096
    assert calendar.start_of(0) == first


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "/etc/passwd", "Europe", "berlin\0"])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="is not known: use a name such as"):
        calendar_of(name)
