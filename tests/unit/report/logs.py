"""Logs of actions and transitions, as they stand in topics and dumps."""

import json
from collections.abc import Sequence
from typing import Any

from schemas.timestamps import DAY_MS, format_ms

START_MS = 1_772_323_200_000
"""2026-03-01."""


def day(number: float) -> int:
    return START_MS + round(number * DAY_MS)


def exposed(account: str, arm: str, at_ms: int, play: str = "save") -> bytes:
    return _line(
        delivery_id="d", transition_id="t", account_id=account, segment="at_risk", direction="entered", playbook=play,
        destination="team", connector="console", outcome="suppressed", reason="exposed", attempt=0, at=format_ms(at_ms),
        arm=arm,
    )  # fmt: skip


def delivered(account: str, at_ms: int, play: str = "save") -> bytes:
    return exposed(account, "treatment", at_ms, play).replace(b'"exposed"', b'"delivered"')


def passed(account: str, direction: str, segment: str, at_ms: int, from_segment: str | None = None) -> bytes:
    return _line(
        transition_id="t", account_id=account, segment=segment, direction=direction, from_segment=from_segment,
        effective_at=format_ms(at_ms), sequence=1,
    )  # fmt: skip


def dumped(value: bytes | None, topic: str) -> bytes:
    """As `pegel dump` writes it."""
    payload = None if value is None else value.decode()
    return _line(topic=topic, partition=0, offset=0, tstype="create", ts=0, headers=[], key="k", payload=payload)


def experiment(arms: dict[str, tuple[int, int]], segment: str = "customer", play: str = "save") -> Sequence[bytes]:
    """Per arm so many accounts, of which so many entered the segment a day after their exposure."""
    lines: list[bytes] = []
    for arm, (count, reached) in arms.items():
        for n in range(count):
            account = f"{play}-{arm}-{n}"
            lines.append(exposed(account, arm, day(0), play))
            if n < reached:
                lines.append(passed(account, "entered", segment, day(1)))
    return lines


def _line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
