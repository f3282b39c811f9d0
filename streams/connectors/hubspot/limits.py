"""HubSpot's rate limits: how long a 429 means, and when the next request would only be a 429.

HubSpot counts requests per ten seconds and per day, says in every answer what is left, and in a 429 which limit was
met, often without `Retry-After`. Refused requests count against the application, so none is sent that the last answer
has already refused.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HEADER: Final = "X-HubSpot-RateLimit-"
SECONDLY_S: Final = 1.0
TEN_SECONDLY_S: Final = 10.0
INTERVAL_MAX_S: Final = 60.0


def policy_wait_s(policy: str, now_ms: int, zone: ZoneInfo) -> float | None:
    """How long the limit lasts that a 429 names; `None` for a name that is not known."""
    if policy.startswith("DAILY"):
        return midnight_wait_s(now_ms, zone)
    if policy.startswith("TEN_SECONDLY"):
        return TEN_SECONDLY_S
    if policy.startswith("SECONDLY"):
        return SECONDLY_S
    return None


def headers_wait_s(headers: Mapping[str, str], now_ms: int, zone: ZoneInfo) -> float | None:
    """How long until a request is allowed, by what the answer says is left; `None` if it says there is some."""
    if _number(headers, "Daily-Remaining") == 0:
        return midnight_wait_s(now_ms, zone)
    if _number(headers, "Remaining") == 0:
        interval_ms = _number(headers, "Interval-Milliseconds")
        return TEN_SECONDLY_S if interval_ms is None else min(interval_ms / 1_000, INTERVAL_MAX_S)
    return None


def midnight_wait_s(now_ms: int, zone: ZoneInfo) -> float:
    """Seconds until the day ends there."""
    now = datetime.fromtimestamp(now_ms / 1_000, zone)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), zone)
    return midnight.timestamp() - now_ms / 1_000


class Allowance:
    """What the last answers left. One per destination."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._until_ms = 0.0

    def noted(self, headers: Mapping[str, str], now_ms: int) -> None:
        wait_s = headers_wait_s(headers, now_ms, self._zone)
        if wait_s is not None:
            self._until_ms = now_ms + wait_s * 1_000

    def wait_s(self, now_ms: int) -> float:
        """0: ask."""
        return max(0.0, (self._until_ms - now_ms) / 1_000)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(HEADER + name, "")
    return int(text) if text.isascii() and text.isdigit() else None
