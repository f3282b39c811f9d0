"""Measures: aggregates of an event property over windows of days.

What a day holds, by aggregate:

    sum      the exact sum of its values, as floats that do not overlap (Shewchuk's partials): any window, however its
             days are grouped, gives the correctly rounded sum of all values in it
    max, min the value
    last     the value with the greatest t, and that t; a tie goes to the later record
    unique   nothing per day: for each value the days on which it was seen

Values of a wrong type are skipped: numbers for all but `unique`, which takes texts too. Sum of nothing is 0, unique 0,
the others unknown; so is a sum beyond the range of numbers.

Source of the partials: J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997, as in Python's math.fsum.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from schemas.catalog import Aggregate
from streams.engine.account import MeasureSeries
from streams.engine.rules.values import number
from streams.limits import (
    ACCOUNT_MEASURE_VALUES_MAX,
    MEASURE_PARTIALS_MAX,
    MEASURE_TEXT_CHARS_MAX,
    MEASURE_VALUES_MAX,
    RETENTION_DAYS,
)

_INFINITE: Final = [math.inf]


def add(aggregate: Aggregate, series: MeasureSeries, day: int, t: int, value: Any) -> bool:
    """Add a value seen at `t` on `day`. Returns False if an older value was evicted to make room."""
    if aggregate is Aggregate.unique:
        return _add_unique(series, day, value)
    plain = number(value)
    if plain is None:
        return True
    measured = float(plain)
    held = series.days.get(day)
    match aggregate:
        case Aggregate.sum:
            series.days[day] = _grown(held or [], measured)
        case Aggregate.max:
            series.days[day] = measured if held is None else max(held, measured)
        case Aggregate.min:
            series.days[day] = measured if held is None else min(held, measured)
        case _:
            if held is None or t >= held[0]:
                series.days[day] = [t, measured]
    if len(series.days) > RETENTION_DAYS:
        newest = max(series.days)
        for old in [known for known in series.days if known <= newest - RETENTION_DAYS]:
            del series.days[old]
    return True


def read(aggregate: Aggregate, series: MeasureSeries | None, first_day: int, last_day: int) -> float | int | None:
    """The aggregate over the days from `first_day` to `last_day`, both included."""
    if series is None:
        return 0 if aggregate in (Aggregate.sum, Aggregate.unique) else None
    if aggregate is Aggregate.unique:
        return sum(any(first_day <= day <= last_day for day in days) for days in series.values.values())
    held = [series.days[day] for day in series.days if first_day <= day <= last_day]
    match aggregate:
        case Aggregate.sum:
            return _sum(held)
        case Aggregate.max:
            return max(held, default=None)
        case Aggregate.min:
            return min(held, default=None)
        case _:
            latest: list[Any] | None = max(held, key=lambda one: int(one[0]), default=None)
            return None if latest is None else latest[1]


def _add_unique(series: MeasureSeries, day: int, value: Any) -> bool:
    key = _key(value)
    if key is None:
        return True
    days = series.values.setdefault(key, [])
    if day not in days:
        days.append(day)
        days.sort()
        while days[0] <= days[-1] - RETENTION_DAYS:
            del days[0]
    if len(series.values) <= MEASURE_VALUES_MAX:
        return True
    del series.values[min(series.values, key=lambda known: series.values[known][-1])]
    return False


def make_room(of_account: Mapping[str, MeasureSeries]) -> bool:
    """Keep an account's unique values within bounds. Returns False if one was evicted: the one not seen longest."""
    if sum(len(series.values) for series in of_account.values()) <= ACCOUNT_MEASURE_VALUES_MAX:
        return True
    _, name, value = min(
        (days[-1], name, value) for name, series in of_account.items() for value, days in series.values.items()
    )
    del of_account[name].values[value]
    return False


def _key(value: Any) -> str | None:
    """Equal values have equal keys; a text never equals a number."""
    if type(value) is str:
        return f"t{value[:MEASURE_TEXT_CHARS_MAX]}"
    plain = number(value)
    if plain is None:
        return None
    whole = int(plain)  # ids are often whole numbers larger than a float tells apart
    return f"n{whole}" if whole == plain else f"n{plain!r}"


def _grown(partials: list[float], value: float) -> list[float]:
    """The partials of their exact sum plus `value`; `[inf]` once it leaves the range of floats."""
    grown: list[float] = []
    for partial in partials:
        if abs(value) < abs(partial):
            value, partial = partial, value  # noqa: PLW2901 - as the algorithm is written
        high = value + partial
        low = partial - (high - value)
        if low:
            grown.append(low)
        value = high
    grown.append(value)
    if not math.isfinite(value):
        return _INFINITE
    # Only values chosen to span hundreds of digits need more: their sum is then kept to a float's precision.
    return grown if len(grown) <= MEASURE_PARTIALS_MAX else [math.fsum(grown)]


def _sum(held: list[list[float]]) -> float | None:
    try:
        total = math.fsum(partial for partials in held for partial in partials)
    except (OverflowError, ValueError):
        return None
    return number(total)
