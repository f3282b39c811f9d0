"""Days: the unit of every window. A day is numbered by its date in the catalog's time zone, from 1970-01-01 = 0.

UTC is plain integer arithmetic. In other zones a day has 23 to 25 hours; `zoneinfo` is loaded once, when the calendar
is made, and is a pure table from then on. Times outside the years 1-9999 are clamped to them.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST_MS: Final = (2 - _EPOCH) * DAY_MS  # a day inside year 1, so that no offset leaves the range of `datetime`
_LAST_MS: Final = (date(9999, 12, 30).toordinal() - _EPOCH) * DAY_MS
_ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CACHED_DAYS_MAX: Final = 4_096


class Calendar:
    """Times in integer milliseconds UTC, days as day numbers; these here are the days of UTC."""

    def day_of(self, time_ms: int) -> int:
        return time_ms // DAY_MS

    def start_of(self, day: int) -> int:
        return day * DAY_MS


class ZoneCalendar(Calendar):
    """Days of a time zone; a day starts at the first instant that bears its date."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._starts: dict[int, int] = {}

    def day_of(self, time_ms: int) -> int:
        day = time_ms // DAY_MS
        # The date differs from UTC's by at most one day: compare with the starts around it.
        if time_ms < self.start_of(day):
            return day - 1
        return day + 1 if time_ms >= self.start_of(day + 1) else day

    def start_of(self, day: int) -> int:
        start = self._starts.get(day)
        if start is None:
            if len(self._starts) >= _CACHED_DAYS_MAX:
                self._starts.clear()
            start = self._starts[day] = self._find_start(day)
        return start

    def _find_start(self, day: int) -> int:
        """The first ms whose local date is `day` or later.

        Midnight may not exist: where clocks go forward over it the start is found by bisection. Midnight may come
        twice: where clocks go back over it the first one counts, and a day that has begun goes on.
        """
        low, high = day * DAY_MS - DAY_MS, day * DAY_MS + DAY_MS
        if not _FIRST_MS < low < high < _LAST_MS:
            return day * DAY_MS
        while low < high:
            middle = (low + high) // 2
            if self._date_number(middle) >= day:
                high = middle
            else:
                low = middle + 1
        return min(low, self._first_midnight(day))

    def _first_midnight(self, day: int) -> int:
        """Midnight by the offset that held before it: the true start, or after it if clocks went forward."""
        local = datetime.combine(date.fromordinal(day + _EPOCH), time(), self._zone)
        return (local.astimezone(UTC) - _ZERO) // timedelta(milliseconds=1)

    def _date_number(self, time_ms: int) -> int:
        local = (_ZERO + timedelta(milliseconds=time_ms)).astimezone(self._zone)
        return local.date().toordinal() - _EPOCH


def calendar_of(name: str) -> Calendar:
    """The calendar of an IANA time zone.

    Raises:
        ValueError: there is no such zone.
    """
    if name == "UTC":
        return Calendar()
    try:
        return ZoneCalendar(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"timezone {name!r} is not known: use a name such as 'UTC' or 'Europe/Berlin'") from error
