"""Made-up news of every kind, to try templates on before they are needed."""

from collections.abc import Iterator
from typing import Any, Final

from schemas.playbook import ANY, Play
from schemas.timestamps import parse_ms
from schemas.transition import Direction
from streams.notify.plan.news import News

EFFECTIVE_AT: Final = "2026-03-31T12:29:58.000Z"
ENTERED_AT: Final = "2026-03-01T12:34:57.120Z"


def samples(play: Play) -> Iterator[News]:
    """One piece of news for each direction that the play waits for; its evidence is empty, the hardest case."""
    segment = next((name for name in play.segments if name != ANY), "at_risk")
    for direction in play.directions:
        yield sample(segment, Direction(direction), play.group)
    if Direction.MOVED not in play.directions:
        yield sample(segment, Direction.MOVED, play.group or "lifecycle")


def sample(
    segment: str, direction: Direction, group: str | None = None, evidence: dict[str, Any] | None = None
) -> News:
    entered = direction is Direction.ENTERED
    moved = direction is Direction.MOVED
    fields: dict[str, Any] = {
        "transition_id": "0c8fd0c4-0d7e-5c39-8f1c-7a0c1f7f9f35",
        "account_id": "acme.example",
        "segment": segment,
        "direction": direction.value,
        "group": group,
        "from_segment": "mature" if moved else None,
        "effective_at": EFFECTIVE_AT,
        "sequence": 7,
        "catalog_version": "d0c5e9f2a41b",
        "evidence": evidence or {"values": {}},
        "trigger": "deadline",
        "entered_at": None if entered else ENTERED_AT,
        "dwell_seconds": None if entered else 2_591_700.88,
        "forecast": None,
        "emitted_at": EFFECTIVE_AT,
    }
    effective_at_ms = parse_ms(EFFECTIVE_AT)
    assert effective_at_ms is not None
    return News(
        fields["transition_id"], fields["account_id"], segment, direction.value, group, fields["from_segment"],
        effective_at_ms, from_catalog=False, fields=fields,
    )  # fmt: skip
