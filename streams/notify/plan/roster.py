"""Lists: who is in a segment now, the first so many of them in order, and what changed since the list before."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid5

from schemas.playbook import Roster
from schemas.timestamps import format_ms
from schemas.transition import Direction
from streams.notify.plan.delivery import NAMESPACE, SEPARATOR, Facts, SinceLast, Source
from streams.notify.plan.news import News

ROSTER_SOURCE: Final = -1
"""Partition and offset of what came in no record."""


@dataclass(frozen=True, slots=True)
class RosterRequest:
    """A list is due: who is in `segment` now?"""

    play: str
    segment: str
    scheduled_at_ms: int


@dataclass(frozen=True, slots=True)
class RosterMember:
    """An account that is in the segment."""

    account_id: str
    entered_at_ms: int
    key_numbers: dict[str, Any] = field(default_factory=dict, repr=False)
    facts: Facts = field(default_factory=dict, repr=False)
    group: str | None = None


def in_order(members: Iterable[RosterMember], roster: Roster) -> list[RosterMember]:
    """As the list has them. Whoever lacks the number stands last; who is equal stands by name."""
    known: list[tuple[float, str, RosterMember]] = []
    unknown: list[RosterMember] = []
    for member in members:
        value = member.entered_at_ms if roster.sort is None else member.key_numbers.get(roster.sort)
        if isinstance(value, int | float):
            known.append((value if roster.order == "asc" else -value, member.account_id, member))
        else:
            unknown.append(member)
    ordered = [member for _, _, member in sorted(known, key=lambda entry: entry[:2])]
    return ordered + sorted(unknown, key=lambda member: member.account_id)


def since_last(now: Iterable[str], before: Iterable[str], at_ms: int | None) -> SinceLast:
    """Who came and who went, in the order of their list."""
    present, past = dict.fromkeys(now), dict.fromkeys(before)
    came = () if at_ms is None else tuple(name for name in present if name not in past)
    return SinceLast(came, tuple(name for name in past if name not in present), at_ms)


def as_news(member: RosterMember, request: RosterRequest, now_ms: int) -> News:
    """A member as templates and connectors know transitions: it entered, then, and these are its numbers now."""
    told = SEPARATOR.join((request.play, str(request.scheduled_at_ms), member.account_id))
    name, entered_at = str(uuid5(NAMESPACE, told)), format_ms(member.entered_at_ms)
    fields = {
        "transition_id": name,
        "account_id": member.account_id,
        "segment": request.segment,
        "direction": Direction.ENTERED.value,
        "group": member.group,
        "from_segment": None,
        "effective_at": entered_at,
        "entered_at": entered_at,
        "dwell_seconds": max(now_ms - member.entered_at_ms, 0) / 1_000,
        "evidence": {"values": member.key_numbers},
    }
    return News(
        name, member.account_id, request.segment, Direction.ENTERED, member.group, None, member.entered_at_ms,
        from_catalog=False, fields=fields,
    )  # fmt: skip


def no_source(request: RosterRequest) -> Source:
    return Source(ROSTER_SOURCE, ROSTER_SOURCE, request.scheduled_at_ms, None, None)
