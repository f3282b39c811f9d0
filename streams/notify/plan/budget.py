"""How many messages a destination takes in a day of its own zone. What is more is held, and told in one summary.

While anything is held, one message of the day is reserved: for the summary that has the oldest of it. Or a list that
comes before it every day could use up a small budget for ever.

The counter is of a day, and the day only goes on: a clock that is put back does not win a second budget.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo

from streams.notify.plan.quiet import at, ms_of


@dataclass(frozen=True, slots=True)
class Spent:
    """What was sent on a day, counted from 0001-01-01."""

    day: int = 0
    messages: int = 0


def spend(spent: Spent, limit: int | None, zone: tzinfo, now_ms: int, reserved: int = 0) -> Spent | None:
    """With one more message; None if the day's budget does not have it. `reserved`: messages kept for others."""
    today = at(now_ms, zone).date().toordinal()
    current = spent if spent.day >= today else Spent(today)
    if limit is not None and current.messages >= limit - reserved:
        return None
    return replace(current, messages=current.messages + 1)


def next_day_ms(spent: Spent, zone: tzinfo, now_ms: int) -> int:
    """When the next budget begins: the first moment of the day after."""
    day = max(at(now_ms, zone).date(), datetime.fromordinal(max(spent.day, 1)).date()) + timedelta(1)
    moments = (datetime.combine(day, time(0), zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    # Where midnight is left out, the earlier reading lies on the day before.
    return min(ms_of(moment) for moment in moments if moment.astimezone(zone).date() >= day)
