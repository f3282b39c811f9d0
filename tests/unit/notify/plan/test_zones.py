"""Clocks on walls: quiet hours, cron slots and days of a budget, where the clock is changed too."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.schedule import Calendar, QuietHours, zone
from streams.notify.plan.budget import Spent, next_day_ms, spend
from streams.notify.plan.cron import next_slot_ms
from streams.notify.plan.quiet import at, is_quiet, ms_of, opens_ms
from tests.unit.notify.plan.scene import DAY_MS, HOUR_MS, MINUTE_MS, ms

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana",
        "Pacific/Apia", "Africa/Casablanca",
    )
]  # fmt: skip
NIGHT = QuietHours.model_validate({"from": "18:00", "to": "08:00", "weekends": True})
YEAR = (ms("2025-12-31 00:00"), ms("2027-01-02 00:00"))


def wall(at_ms: int, tz: ZoneInfo = BERLIN) -> str:
    return f"{at(at_ms, tz):%a %d %b %H:%M}"


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-02 09:00", "Mon 02 Mar 10:00"),  # it is open
        ("2026-03-02 16:59", "Mon 02 Mar 17:59"),
        ("2026-03-02 17:00", "Tue 03 Mar 08:00"),
        ("2026-03-03 06:59", "Tue 03 Mar 08:00"),
        ("2026-03-03 07:00", "Tue 03 Mar 08:00"),
        ("2026-03-06 17:00", "Mon 09 Mar 08:00"),  # over the weekend
        ("2026-03-07 12:00", "Mon 09 Mar 08:00"),
        ("2026-03-28 12:00", "Mon 30 Mar 08:00"),  # the clock is put forward on the 29th
        ("2026-10-24 12:00", "Mon 26 Oct 08:00"),  # and back on the 25th
        ("2026-12-24 20:00", "Mon 28 Dec 08:00"),  # a holiday, and a weekend
    ],
)
def test_quiet_hours_end_in_the_morning_of_the_next_business_day(now: str, opens: str) -> None:
    calendar = Calendar(holidays=(date(2026, 12, 25),))
    assert wall(opens_ms(NIGHT, calendar, BERLIN, ms(now))) == opens


@settings(deadline=None, max_examples=200)
@given(
    now_ms=st.integers(*YEAR),
    tz=st.sampled_from(ZONES),
    start=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 24 * 60 - 1),
    weekends=st.booleans(),
    holidays=st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=5),
)
def test_whatever_the_clock_does_quiet_hours_end_at_a_time_that_is_not_quiet_and_is_the_first(
    *, now_ms: int, tz: ZoneInfo, start: int, length: int, weekends: bool, holidays: set[date]
) -> None:
    hours = QuietHours.model_construct(start=start, end=(start + length) % (24 * 60), weekends=weekends)
    calendar = Calendar(holidays=tuple(holidays))
    opens = opens_ms(hours, calendar, tz, now_ms)
    assert opens >= now_ms
    assert not is_quiet(hours, calendar, at(opens, tz))
    # Every minute in between is quiet, but for the rest of an hour that a spring night leaves out.
    step_ms = MINUTE_MS if opens - now_ms < DAY_MS else 13 * MINUTE_MS
    open_before = [one for one in range(now_ms, opens, step_ms) if not is_quiet(hours, calendar, at(one, tz))]
    assert len(open_before) * step_ms <= HOUR_MS
    assert not open_before or at(open_before[0], tz).utcoffset() != at(open_before[0] - 2 * HOUR_MS, tz).utcoffset()


def test_without_quiet_hours_it_is_never_quiet() -> None:
    assert opens_ms(None, Calendar(), BERLIN, ms("2026-03-07 02:00")) == ms("2026-03-07 02:00")


def test_a_year_of_holidays_is_not_searched_for_ever() -> None:
    all_days = Calendar.model_construct(
        business_days=Calendar().business_days, holidays=tuple(date(2026, 1, 1) + timedelta(n) for n in range(800))
    )
    now_ms = ms("2026-01-01 12:00")
    assert opens_ms(NIGHT, all_days, BERLIN, now_ms) == now_ms + 400 * DAY_MS


def slots(expression: str, tz: ZoneInfo, start: str, end: str) -> list[str]:
    found, at_ms = [], ms(start)
    while (at_ms := next_slot_ms(expression, tz, at_ms)) < ms(end):
        found.append(wall(at_ms, tz))
    return found


def test_a_time_of_day_comes_once_a_day_whatever_the_clock_does() -> None:
    spring = slots("30 2 * * *", BERLIN, "2026-03-27 12:00", "2026-03-31 12:00")
    assert spring == ["Sat 28 Mar 02:30", "Sun 29 Mar 03:00", "Mon 30 Mar 02:30", "Tue 31 Mar 02:30"]
    autumn = slots("30 2 * * *", BERLIN, "2026-10-23 12:00", "2026-10-27 12:00")
    assert autumn == ["Sat 24 Oct 02:30", "Sun 25 Oct 02:30", "Mon 26 Oct 02:30", "Tue 27 Oct 02:30"]


def test_a_time_that_is_shown_twice_does_not_come_again_in_its_second_showing() -> None:
    for now in ("2026-10-25 00:31", "2026-10-25 01:00", "2026-10-25 01:30"):
        assert wall(next_slot_ms("30 2 * * *", BERLIN, ms(now))) == "Mon 26 Oct 02:30"


def test_what_runs_every_half_hour_does_so_by_real_time() -> None:
    assert len(slots("*/30 * * * *", BERLIN, "2026-10-24 22:00", "2026-10-25 22:59")) == 49
    assert len(slots("*/30 * * * *", BERLIN, "2026-03-28 23:00", "2026-03-29 21:59")) == 45


@settings(deadline=None, max_examples=150)
@given(
    expression=st.sampled_from(
        ["30 2 * * *", "0 8 * * mon-fri", "15 1 * * *", "0 0 1 * *", "*/20 * * * *", "5 */6 * * *"]
    ),
    tz=st.sampled_from(ZONES),
    start_ms=st.integers(*YEAR),
    looks=st.lists(st.integers(0, 3 * DAY_MS), max_size=5),
)  # fmt: skip
def test_asking_in_between_neither_loses_nor_doubles_a_slot(
    expression: str, tz: ZoneInfo, start_ms: int, looks: list[int]
) -> None:
    slots_ms, at_ms = [], start_ms
    while at_ms <= start_ms + 3 * DAY_MS:
        at_ms = next_slot_ms(expression, tz, at_ms)
        slots_ms.append(at_ms)
    assert slots_ms == sorted(set(slots_ms))
    for look in looks:
        assert next_slot_ms(expression, tz, start_ms + look) == min(one for one in slots_ms if one > start_ms + look)


@settings(deadline=None, max_examples=200)
@given(now_ms=st.integers(*YEAR), tz=st.sampled_from(ZONES))
def test_a_budget_begins_with_the_first_moment_of_a_day(now_ms: int, tz: ZoneInfo) -> None:
    next_ms = next_day_ms(Spent(), tz, now_ms)
    assert next_ms > now_ms
    assert at(next_ms, tz).date() > at(now_ms, tz).date()
    assert at(next_ms - 1, tz).date() == at(now_ms, tz).date()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=30))
def test_a_clock_that_is_put_back_wins_no_second_budget(moves: list[tuple[int, int]]) -> None:
    spent, furthest, told = Spent(), 0, 0
    for hours, _ in moves:
        now_ms = ms("2026-03-02 00:00") + hours * HOUR_MS
        day = now_ms // DAY_MS
        if day > furthest:
            furthest, told = day, 0
        after = spend(spent, 3, ZoneInfo("UTC"), now_ms)
        if after is not None:
            spent, told = after, told + 1
        assert told <= 3


def test_the_zone_of_a_stranger_is_looked_up_with_care() -> None:
    for name in ("../../etc/passwd", "/etc/localtime", "", "x" * 100, "Europe/Nowhere", "\x00", "Europe", "a/../b"):
        assert zone(name) is None
    assert zone("America/Argentina/Buenos_Aires") is not None
    assert ms_of(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000
