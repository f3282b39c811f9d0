"""Laws of pacing, over all surveys that hypothesis can think of."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.publish.pace import Pace, Survey, parse_duration_ms, parse_speed, schedule

NOW_MS = 1_900_000_000_000
ARRIVALS = st.lists(st.integers(0, NOW_MS), min_size=1, max_size=50)
SPEEDS = st.floats(1, 1e6) | st.none()
LASTS = st.integers(1, 10**11) | st.none()


def survey_of(arrivals: list[int]) -> Survey:
    survey = Survey()
    for arrival in arrivals:
        survey.add(arrival)
    return survey


@given(ARRIVALS, SPEEDS, LASTS)
def test_nothing_is_published_before_its_own_shifted_arrival(
    arrivals: list[int], speed: float | None, last_ms: int | None
) -> None:
    plan = schedule(survey_of(arrivals), Pace(speed, last_ms), NOW_MS, shift_to_now=True)

    assert plan.shift_ms is not None
    for arrival in arrivals:
        due = plan.due_ms(arrival)
        assert due is not None
        assert max(due, NOW_MS) >= arrival + plan.shift_ms


@given(ARRIVALS, SPEEDS, LASTS)
def test_shifting_brings_the_newest_arrival_to_the_end(
    arrivals: list[int], speed: float | None, last_ms: int | None
) -> None:
    plan = schedule(survey_of(arrivals), Pace(speed, last_ms), NOW_MS, shift_to_now=True)

    assert plan.shift_ms is not None
    assert max(arrivals) + plan.shift_ms == plan.end_ms == plan.due_ms(max(arrivals))


@given(ARRIVALS, st.floats(0.01, 1e6), LASTS)
def test_what_is_paced_keeps_its_order_and_its_distances_divided_by_the_speed(
    arrivals: list[int], speed: float, last_ms: int | None
) -> None:
    plan = schedule(survey_of(arrivals), Pace(speed, last_ms), NOW_MS, shift_to_now=False)

    paced = sorted(arrival for arrival in arrivals if plan.due_ms(arrival) is not None)
    for one, other in pairwise(paced):
        first, second = plan.due_ms(one), plan.due_ms(other)
        assert first is not None
        assert second is not None
        assert second - first == pytest.approx((other - one) / speed, abs=1.01)
    assert all(plan.newest_ms - arrival <= (last_ms or NOW_MS) for arrival in paced)


@given(ARRIVALS)
def test_at_full_speed_without_a_shift_all_is_due_at_once(arrivals: list[int]) -> None:
    plan = schedule(survey_of(arrivals), Pace(), NOW_MS, shift_to_now=False)

    assert {plan.due_ms(arrival) for arrival in arrivals} == {None}


def test_time_is_left_for_what_goes_before_the_paced_stretch() -> None:
    day_ms = 86_400_000
    arrivals = [*range(20_000), 10 * day_ms, 11 * day_ms]

    plan = schedule(survey_of(arrivals), Pace(86_400, day_ms), NOW_MS, shift_to_now=False)

    assert plan.due_ms(0) is None
    assert plan.due_ms(10 * day_ms) == NOW_MS + 2_000
    assert plan.end_ms == NOW_MS + 3_000


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("60x", 60.0), ("60", 60.0), ("0.5x", 0.5), ("1000000x", 1e6)]
)
def test_a_speed_is_read(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "x", "0", "0x", "-1x", "fast", "1e3x", "60xx", "nan", "99999999999x", "٣x"])
def test_what_is_no_speed_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="60x or max"):
        parse_speed(text)


@pytest.mark.parametrize(
    ("text", "duration_ms"), [("7d", 604_800_000), ("12h", 43_200_000), ("30m", 1_800_000), ("10s", 10_000), ("5ms", 5)]
)
def test_a_duration_is_read(text: str, duration_ms: int) -> None:
    assert parse_duration_ms(text) == duration_ms


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5d", "7w", "7 d", "9999999999d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 7d"):
        parse_duration_ms(text)
