"""How long a provider asks to wait: the `Retry-After` header, as seconds or as a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

RETRY_AFTER_MAX_S: Final = 24 * 3_600.0
"""Longer is not believed: a day is the longest window that any known provider counts in."""


def retry_after_s(header: str | None, now_ms: int) -> float | None:
    """Seconds from now, at least 0 and at most a day; `None` if the header is missing or says nothing."""
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now_ms)
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if isfinite(seconds) else None


def _until(date: str, now_ms: int) -> float:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return float("nan")
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return (then - datetime.fromtimestamp(now_ms / 1_000, UTC)).total_seconds()
