"""RFC 3339 text to integer milliseconds UTC and back: the only place that reads or writes times.

Theory of operation. Nearly every time on the wire looks like ``2026-03-01T12:34:56.789Z``, some without a fraction.
Of such a text the date is looked up in a table and the rest is computed digit by digit; compiled, that is a few machine
instructions a digit. Whatever does not look so, and a date that is not in the table, sends the whole text down the
careful path, where a regular expression and the calendar decide. The table of dates fills as dates occur and is emptied
when it reaches its bound. Times are written from tables too, which are complete from the start but for the dates.

What is read: an RFC 3339 date-time, with ``T``, ``t`` or a space in the middle, any number of fraction digits
(those below a millisecond are cut off, which for times before 1970 also means towards the earlier time) and ``Z``,
``z`` or an offset ``+hh:mm`` / ``-hh:mm`` up to 23:59. Years run from 0001 to 9999 as written; an offset may carry
the result outside, which is a valid number all the same. Second 60, a leap second, is the first millisecond of the
next minute whatever its fraction: there is no such millisecond in UTC as computers count it. Everything else is
unreadable: no offset, hour 24, 30 February, digits of other scripts, more than 64 characters.

What is written: always ``YYYY-MM-DDThh:mm:ss.mmmZ``. Outside the years 0001-9999 the year is written as ISO 8601
extends it, with a sign and at least four digits (``+10000-01-01T...``, ``-0001-...``); RFC 3339 has no form for
these, and `parse_ms` does not read them back.
"""

import re
from datetime import date
from typing import Final

from mypy_extensions import i64

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

TEXT_CHARS_MAX: Final = 64
DATES_CACHED_MAX: Final = 8_192
DATES_HELD: Final = 256
"""Dates that were written lately: a power of two."""

YEAR_1_MS: Final = -62_135_596_800_000
"""The first millisecond that has an RFC 3339 form: 0001-01-01T00:00:00.000Z."""
YEAR_9999_END_MS: Final = 253_402_300_799_999
"""The last millisecond that has an RFC 3339 form: 9999-12-31T23:59:59.999Z."""

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()

_SHAPE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)"
    r"(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_DATE_SHAPE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_MINUTE_BYTES: Final = tuple(b"T%02d:%02d:" % (hour, minute) for hour in range(24) for minute in range(60))
_SECOND_BYTES: Final = tuple(b"%02d" % second for second in range(60))
_FRACTION_BYTES: Final = tuple(b".%03dZ" % ms for ms in range(1_000))

_ZERO: Final = ord("0")
_COLON: Final = ord(":")
_POINT: Final = ord(".")
_T: Final = ord("T")
_Z: Final = ord("Z")
_WITH_FRACTION_BYTES: Final = len("2026-03-01T12:34:56.789Z")
_WITHOUT_FRACTION_BYTES: Final = len("2026-03-01T12:34:56Z")

_dates_ms: Final[dict[str, int]] = {}  # fills as dates occur; see `_day_ms` for the bound
_dates_held: Final[list[tuple[int, bytes]]] = [(0, b"1970-01-01")] * DATES_HELD  # by the day's last bits


def parse_ms(text: str) -> int | None:
    """The milliseconds UTC of an RFC 3339 text, or None if it is none."""
    day_ms = _dates_ms.get(text[:10])
    if day_ms is not None:
        of_day_ms = _plain_ms(text)
        if of_day_ms >= 0:
            return day_ms + of_day_ms
    return _parse_carefully(text)


def format_ms(ms: int) -> str:
    """The time as ``2026-03-01T12:34:56.789Z``."""
    return format_ms_bytes(ms).decode()


def format_ms_bytes(ms: int) -> bytes:
    """The same, for what is written as bytes."""
    day = ms // DAY_MS
    of_day_ms = ms - day * DAY_MS
    minute = of_day_ms // MINUTE_MS
    of_minute_ms = of_day_ms - minute * MINUTE_MS
    second = of_minute_ms // SECOND_MS
    fraction = of_minute_ms - second * SECOND_MS
    return b"%b%b%b%b" % (_date_bytes(day), _MINUTE_BYTES[minute], _SECOND_BYTES[second], _FRACTION_BYTES[fraction])


def parse_day(text: str) -> int | None:
    """The number of days since 1970-01-01 of a text ``YYYY-MM-DD``, or None if it is no date."""
    if _DATE_SHAPE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None


def format_day(day: int) -> str:
    """The date ``YYYY-MM-DD`` that lies so many days after 1970-01-01."""
    return _date_bytes(day).decode()


def _plain_ms(text: str) -> i64:
    """The milliseconds since midnight if what follows the date is ``Thh:mm:ss.mmmZ`` or ``Thh:mm:ssZ``, else -1."""
    try:
        plain = text.encode()  # names no way to deal with errors: that would cost more than all else
    except UnicodeEncodeError:
        return -1
    size = len(plain)
    if size == _WITH_FRACTION_BYTES:
        if plain[19] != _POINT or plain[23] != _Z:
            return -1
        tenths: i64 = plain[20] - _ZERO
        hundredths: i64 = plain[21] - _ZERO
        ms: i64 = plain[22] - _ZERO
        if (tenths | hundredths | ms | 9 - tenths | 9 - hundredths | 9 - ms) < 0:
            return -1
        ms += 100 * tenths + 10 * hundredths
    elif size == _WITHOUT_FRACTION_BYTES and plain[19] == _Z:
        ms = 0
    else:
        return -1
    if plain[10] != _T or plain[13] != _COLON or plain[16] != _COLON:
        return -1
    hours: i64 = plain[11] - _ZERO
    hour: i64 = plain[12] - _ZERO
    minutes: i64 = plain[14] - _ZERO
    minute: i64 = plain[15] - _ZERO
    seconds: i64 = plain[17] - _ZERO
    second: i64 = plain[18] - _ZERO
    if (hours | hour | minutes | minute | seconds | second | 9 - hour | 5 - minutes | 9 - minute | 5 - seconds) < 0:
        return -1
    hour += 10 * hours
    if hour > 23 or second > 9:
        return -1
    return hour * HOUR_MS + (10 * minutes + minute) * MINUTE_MS + (10 * seconds + second) * SECOND_MS + ms


def _parse_carefully(text: str) -> int | None:
    if len(text) > TEXT_CHARS_MAX:
        return None
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    date_text, hour, minute, second, fraction, sign, offset_hour, offset_minute = shape.groups()
    day_ms = _day_ms(date_text)
    if day_ms is None:
        return None
    ms = day_ms + int(hour) * HOUR_MS + int(minute) * MINUTE_MS + int(second) * SECOND_MS
    if fraction is not None and second != "60":
        ms += int(fraction[:3].ljust(3, "0"))
    if sign is not None:
        offset_ms = int(offset_hour) * HOUR_MS + int(offset_minute) * MINUTE_MS
        ms += offset_ms if sign == "-" else -offset_ms
    return ms


def _day_ms(date_text: str) -> int | None:
    known = _dates_ms.get(date_text)
    if known is not None:
        return known
    day = parse_day(date_text)
    if day is None:
        return None
    if len(_dates_ms) >= DATES_CACHED_MAX:
        _dates_ms.clear()
    _dates_ms[date_text] = day * DAY_MS
    return day * DAY_MS


def _date_bytes(day: int) -> bytes:
    """The date, from the days written last. One tuple holds day and date: threads see both or neither."""
    slot = day & (DATES_HELD - 1)
    held = _dates_held[slot]
    if held[0] == day:
        return held[1]
    ordinal = day + _EPOCH_ORDINAL
    text = date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= date.max.toordinal() else _extended_date_text(day)
    written = text.encode()
    _dates_held[slot] = (day, written)
    return written


def _extended_date_text(day: int) -> str:
    """The date beyond what `datetime` knows: shift by whole 400-year cycles, which have the same calendar."""
    cycle_days = 146_097
    cycles, day_in_cycle = divmod(day, cycle_days)
    inner = date.fromordinal(_EPOCH_ORDINAL + day_in_cycle)
    year = inner.year + 400 * cycles
    sign = "-" if year < 0 else "+"
    return f"{sign}{abs(year):04}-{inner.month:02}-{inner.day:02}"
