"""Days and what was counted on them, in one block: whatever comes in whatever order, it is what a map would hold."""

from hypothesis import given
from hypothesis import strategies as st

from streams.engine import codec
from streams.engine.account import Activity, EventSeries, account_of
from streams.engine.days import COUNT_MAX, DAY_MAX, Days
from streams.limits import RETENTION_DAYS
from tests.unit.engine.building import DAY, START

NEAR = START // DAY
days_of_some_years = st.integers(NEAR - 400, NEAR + 400)
orders = st.lists(st.one_of(days_of_some_years, st.integers(NEAR, NEAR + 4)), max_size=150)


def within(counts: dict[int, int]) -> dict[int, int]:
    """Those that a window that ends on the latest day may hold."""
    return {day: counts[day] for day in sorted(counts) if day > max(counts) - RETENTION_DAYS}


@given(orders)
def test_days_are_counted_as_a_map_counts_them_whatever_order_they_come_in(order: list[int]) -> None:
    days, counts = Days(), dict[int, int]()
    for day in order:
        place = days.add(day, 2)
        counts[day] = counts.get(day, 0) + 2
        assert days.place_of(day) == place
    assert days.counts() == counts
    assert [*days.counts()] == sorted(counts)
    assert {day: days.on(day) for day in range(NEAR - 400, NEAR + 401) if days.on(day)} == counts
    assert days == Days(counts)


@given(orders, st.data())
def test_what_is_removed_was_counted_once_less(order: list[int], data: st.DataObject) -> None:
    days, counts = Days(), dict[int, int]()
    for day in order:
        days.add(day, 1)
        counts[day] = counts.get(day, 0) + 1
    for day in data.draw(st.lists(st.sampled_from(order or [NEAR]), max_size=20)):
        days.remove(day)
        if day in counts:
            counts[day] -= 1
    assert days.counts() == {day: count for day, count in counts.items() if count > 0}


def counted(order: list[tuple[int, int]]) -> tuple[EventSeries, Activity, dict[int, int], dict[int, int]]:
    """Both kinds of series, and what maps hold, of days that were within reach of the latest when they came."""
    series, activity = EventSeries(0, 0, 0), Activity()
    counts, scores = dict[int, int](), dict[int, int]()
    for day, weight in order:
        if counts and day <= max(counts) - RETENTION_DAYS:
            continue
        is_first = activity.count(day, weight)
        series.count(day)
        assert is_first is (day not in counts)
        counts[day] = counts.get(day, 0) + 1
        scores[day] = scores.get(day, 0) + weight
    return series, activity, counts, scores


weights = st.sampled_from([1_000, 2_500, -3_000, 1, 1_000_000_000, -1_000_000_000, 0])


@given(st.lists(st.tuples(days_of_some_years, weights), max_size=200))
def test_a_series_holds_the_days_that_a_window_may_and_no_others(order: list[tuple[int, int]]) -> None:
    series, activity, counts, scores = counted(order)
    assert series.counts() == activity.counts() == (within(counts) if counts else {})
    assert activity.by_day() == (within(scores) if counts else {})
    assert len(series) <= RETENTION_DAYS


@given(st.lists(st.tuples(days_of_some_years, weights), max_size=200), st.sampled_from([1, 2, 3]))
def test_days_are_stored_and_loaded_as_they_are_in_every_version(order: list[tuple[int, int]], version: int) -> None:
    series, activity, _, _ = counted(order)
    account = account_of(now=START, events={"a": series}, activity=activity)
    stored = codec.encode(account, version)
    assert codec.decode(stored) == account
    assert codec.encode(codec.decode(stored), version) == stored


def test_series_are_equal_by_all_that_they_hold() -> None:
    assert EventSeries(1, 2, 3, {4: 5}) == EventSeries(1, 2, 3, {4: 5})
    for other in (EventSeries(0, 2, 3, {4: 5}), EventSeries(1, 2, 3, {4: 6}), EventSeries(1, 2, 3, {5: 5})):
        assert EventSeries(1, 2, 3, {4: 5}) != other
    assert Activity({4: 5}, {4: 1}) == Activity({4: 5}, {4: 1})
    assert Activity({4: 5}, {4: 1}) != Activity({4: 5}, {4: 2})


def test_the_greatest_counts_and_the_farthest_days_are_told_apart() -> None:
    counts = {-DAY_MAX: COUNT_MAX, 0: 1, DAY_MAX: COUNT_MAX}
    assert Days(counts).counts() == counts
    account = account_of(now=START, events={"a": EventSeries(1, 0, 0, counts)})
    assert codec.decode(codec.encode(account)) == account
