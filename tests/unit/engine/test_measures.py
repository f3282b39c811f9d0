import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.catalog import Aggregate
from streams.engine import measures
from streams.engine.account import MeasureSeries
from streams.engine.measures import add, read
from streams.limits import MEASURE_TEXT_CHARS_MAX, RETENTION_DAYS

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
values: st.SearchStrategy[Any] = (
    numbers | st.text(max_size=5) | st.sampled_from([None, True, [], {}, "1", 1, 1.0, 0.0, -0.0])
)
seen = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), values), max_size=30)
plain_aggregates = st.sampled_from([aggregate for aggregate in Aggregate if aggregate is not Aggregate.unique])


def series_of(aggregate: Aggregate, log: list[tuple[int, int, Any]]) -> MeasureSeries:
    """A series of (day, time of day, value)."""
    series = MeasureSeries()
    for day, t, value in log:
        add(aggregate, series, day, day * 10 + t, value)
    return series


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def expected(aggregate: Aggregate, log: list[tuple[int, int, Any]], first: int, last: int) -> Any:
    """By the contract: over the values in the window, wrong types skipped."""
    inside = [(day * 10 + t, place, value) for place, (day, t, value) in enumerate(log) if first <= day <= last]
    if aggregate is Aggregate.unique:
        return len({value for _, _, value in inside if is_number(value) or isinstance(value, str)})
    found = [(t, place, float(value)) for t, place, value in inside if is_number(value)]
    match aggregate:
        case Aggregate.sum:
            total = sum((Fraction(value) for _, _, value in found), Fraction(0))
            try:
                return float(total)
            except OverflowError:
                return None
        case Aggregate.max:
            return max((value for _, _, value in found), default=None)
        case Aggregate.min:
            return min((value for _, _, value in found), default=None)
        case _:
            return max(found, default=(0, 0, None))[2]


small = st.floats(-1e100, 1e100) | st.integers(-(10**30), 10**30)


@given(
    plain_aggregates, st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), small | values), max_size=30), st.data()
)
@example(Aggregate.sum, [(0, 0, 1e100), (0, 0, 1.0), (1, 0, -1e100)], None)
def test_a_window_holds_exactly_the_values_in_it(
    aggregate: Aggregate, log: list[tuple[int, int, Any]], data: st.DataObject | None
) -> None:
    series = series_of(aggregate, log)
    first, last = (0, 6) if data is None else data.draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
    found = read(aggregate, series, first, last)
    wanted = expected(aggregate, log, first, last)
    overflows = any(is_number(value) and abs(value) > 1e300 for _, _, value in log)
    assert found == wanted or (overflows and found is None)


@given(seen, st.integers(0, 6), st.integers(0, 6))
@example([(0, 0, 2**53), (0, 0, 2**53 + 1)], 0, 6)
@example([(0, 0, 9_007_199_254_740_993), (0, 0, 9_007_199_254_740_992.0)], 0, 6)
@example([(0, 0, "1"), (0, 0, 1), (0, 0, 1.0), (1, 0, 0.0), (1, 0, -0.0)], 0, 6)
def test_equal_values_are_counted_once_and_others_apart(log: list[tuple[int, int, Any]], first: int, last: int) -> None:
    assert read(Aggregate.unique, series_of(Aggregate.unique, log), first, last) == expected(
        Aggregate.unique, log, first, last
    )


@given(seen, st.permutations(range(30)))
def test_a_sum_does_not_depend_on_the_order(log: list[tuple[int, int, Any]], order: list[int]) -> None:
    shuffled = [log[place] for place in order if place < len(log)]
    if all(not is_number(value) or abs(value) < 1e300 for _, _, value in log):
        forward, other = series_of(Aggregate.sum, log), series_of(Aggregate.sum, shuffled)
        assert read(Aggregate.sum, forward, 0, 6) == read(Aggregate.sum, other, 0, 6)


@pytest.mark.parametrize(
    ("aggregate", "nothing"), [("sum", 0), ("unique", 0), ("max", None), ("min", None), ("last", None)]
)
def test_of_nothing_sum_and_unique_are_0_and_the_others_unknown(aggregate: str, nothing: int | None) -> None:
    for series in (None, MeasureSeries(), series_of(Aggregate(aggregate), [(3, 0, 1), (5, 0, 2)])):
        assert read(Aggregate(aggregate), series, 4, 4) == nothing


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_beyond_the_range_of_numbers_is_unknown(sign: int) -> None:
    huge = sign * 1.7e308
    assert read(Aggregate.sum, series_of(Aggregate.sum, [(0, 0, huge), (0, 1, huge)]), 0, 6) is None
    assert read(Aggregate.sum, series_of(Aggregate.sum, [(0, 0, huge), (1, 0, huge)]), 0, 6) is None
    assert read(Aggregate.sum, series_of(Aggregate.sum, [(0, 0, huge), (1, 0, huge)]), 0, 0) == huge


def test_last_is_the_value_with_the_greatest_time_and_a_tie_goes_to_the_later_record() -> None:
    series = series_of(Aggregate.last, [(1, 2, 7), (1, 1, 5), (1, 2, 8), (0, 3, 9)])
    assert read(Aggregate.last, series, 0, 6) == 8


@pytest.mark.parametrize("aggregate", list(Aggregate))
def test_what_no_window_reaches_is_forgotten(aggregate: Aggregate) -> None:
    series = MeasureSeries()
    for day in range(300):
        add(aggregate, series, day, day, 1)
    held = series.values["n1"] if aggregate is Aggregate.unique else series.days
    assert len(held) <= RETENTION_DAYS
    assert read(aggregate, series, 300 - RETENTION_DAYS, 299) == (RETENTION_DAYS if aggregate is Aggregate.sum else 1)


@pytest.mark.interpreted
def test_the_value_not_seen_for_longest_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MEASURE_VALUES_MAX", 2)
    series = MeasureSeries()
    assert add(Aggregate.unique, series, 0, 0, "a")
    assert add(Aggregate.unique, series, 1, 1, "b")
    assert add(Aggregate.unique, series, 2, 2, "a")
    assert not add(Aggregate.unique, series, 3, 3, "c")
    assert set(series.values) == {"ta", "tc"}


def test_long_texts_are_told_apart_by_their_beginning() -> None:
    long = "x" * MEASURE_TEXT_CHARS_MAX
    series = series_of(Aggregate.unique, [(0, 0, long + "a"), (0, 0, long + "b"), (0, 0, "y")])
    assert read(Aggregate.unique, series, 0, 0) == 2
    assert max(map(len, series.values)) <= MEASURE_TEXT_CHARS_MAX + 1


@given(st.floats() | st.just(math.nan))
def test_no_number_leaves_no_trace(value: float) -> None:
    series = MeasureSeries()
    add(Aggregate.sum, series, 0, 0, value)
    assert bool(series.days) == math.isfinite(value)
