"""Times as people write them on a command line."""

import time
from typing import Final

from streams.errors import SettingsError

UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
NUMBER_DIGITS_MAX: Final = 5


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def span_ms(text: str) -> int | None:
    """A length of time as in 30m, 2h, 3d; None if it is none."""
    number, unit = text[:-1], text[-1:]
    if unit in UNITS_MS and number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX:
        return int(number) * UNITS_MS[unit]
    return None


def past(text: str | None, option: str) -> int | None:
    """A moment, or so long ago."""
    return _moment(text, option, -1, "2h, 3d for so long ago")


def future(text: str | None, option: str) -> int | None:
    """A moment, or so long from now."""
    return _moment(text, option, 1, "2h, 3d for so long from now")


def _moment(text: str | None, option: str, sign: int, spans: str) -> int | None:
    from schemas.timestamps import parse_ms  # noqa: PLC0415 - slow to import, and `--help` needs none

    if text is None:
        return None
    span = span_ms(text)
    if span is not None:
        return now_ms() + sign * span
    found = parse_ms(text)
    if found is None:
        raise SettingsError(f"{option} {text} is no time: write 2026-03-01T00:00:00Z, or 30m, {spans}")
    return found


def age(ms: int) -> str:
    """A length of time in one unit, for a column."""
    for unit in ("d", "h", "m"):
        if ms >= UNITS_MS[unit]:
            return f"{ms // UNITS_MS[unit]}{unit}"
    return f"{max(0, ms) // 1_000}s"
