"""Quiet hours: nothing is sent then; what comes up waits for their end.

Theory of operation. Whether it is quiet is a function of the clock on the wall alone - date and time of day in the
reader's zone - so a change to or from daylight-saving time never lets anything through at a quiet time: an hour that
is shown twice is judged twice. The end is searched among the moments at which it can end, midnight and `to` of every
day, and each is judged again before it is taken. Where `to` falls into the hour that a spring night leaves out, it is
as much later.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from schemas.schedule import Calendar, QuietHours, Weekday

SEARCH_DAYS_MAX: Final = 400
"""After so many days without an end the search is given up, and goes on from there later."""
WEEKDAYS: Final = tuple(Weekday)


def is_quiet(hours: QuietHours, calendar: Calendar, local: datetime) -> bool:
    """Whether nothing is sent at this time on the wall."""
    if local.date() in calendar.holidays:
        return True
    if hours.weekends and WEEKDAYS[local.weekday()] not in calendar.business_days:
        return True
    minute = local.hour * 60 + local.minute
    if hours.start < hours.end:
        return hours.start <= minute < hours.end
    return minute >= hours.start or minute < hours.end


def opens_ms(hours: QuietHours | None, calendar: Calendar, zone: tzinfo, now_ms: int) -> int:
    """When something may be sent: `now_ms` itself, or the end of the quiet hours."""
    if hours is None:
        return now_ms
    now = at(now_ms, zone)
    if not is_quiet(hours, calendar, now):
        return now_ms
    later = (moment for moment in _ends(hours, now) if moment > now.astimezone(UTC))
    for moment in later:
        if not is_quiet(hours, calendar, moment.astimezone(zone)):
            return ms_of(moment)
    return ms_of(now) + SEARCH_DAYS_MAX * 86_400_000


def _ends(hours: QuietHours, now: datetime) -> Iterator[datetime]:
    """Every moment at which quiet hours may end, in order, from today on."""
    minute = hours.end % (24 * 60)
    times = sorted({time(0), time(minute // 60, minute % 60)})
    for days in range(SEARCH_DAYS_MAX):
        day = now.date() + timedelta(days)
        for of_day in times:
            found = {datetime.combine(day, of_day, now.tzinfo).replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
            yield from sorted(found)


def at(ms: int, zone: tzinfo) -> datetime:
    """The time on the wall."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(zone)


def ms_of(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
