"""One evaluation: the memberships after it, and the transitions it found.

Readings of the contract:

* A unit is a segment without a group, or a group; it stands where its first (enabled) segment stands.
* A segment that is left and one that is entered in the same move: the left one's cooldown starts, the entered one's
  dwell starts, both now.
* Dwell and cooldown are over at the millisecond itself: at ``entered_at + dwell`` an exit is possible again.
* ``entered_at`` of a move is when the segment that is left had been entered.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.model.account import Account
from tests.model.catalog import Catalog, Segment
from tests.model.records import format_time
from tests.model.terms import Moment, Thresholds, truth

Transition = dict[str, Any]


@dataclass
class Memberships:
    entered_ms: dict[str, int] = field(default_factory=dict)  # of the segments the account is in
    left_ms: dict[str, int] = field(default_factory=dict)  # the last exit of every segment it was in
    sequence: int = 0

    def waits(self, segments: Iterable[Segment]) -> list[int]:
        """When dwell times and cooldowns are over."""
        ends: list[int] = []
        for segment in segments:
            if segment.id in self.entered_ms and segment.min_dwell_ms:
                ends.append(self.entered_ms[segment.id] + math.ceil(segment.min_dwell_ms))
            if segment.id in self.left_ms and segment.cooldown_ms:
                ends.append(self.left_ms[segment.id] + math.ceil(segment.cooldown_ms))
        return ends


def units_of(catalog: Catalog) -> list[list[Segment]]:
    units: dict[str, list[Segment]] = {}
    for segment in catalog.segments:
        key = f"segment {segment.id}" if segment.group is None else f"group {segment.group}"
        units.setdefault(key, []).append(segment)
    return list(units.values())


class Evaluation:
    """Who is a member as of ``now_ms``; decides each unit once, on demand, so that member() sees this pass."""

    def __init__(
        self,
        units: list[list[Segment]],
        account: Account,
        now_ms: int,
        before: Memberships,
        thresholds: Thresholds,
        noted: Counter[str],
    ) -> None:
        self._units = units
        self._moment = Moment(account, now_ms, self._is_member, thresholds)
        self._now_ms = now_ms
        self._before = before
        self._noted = noted
        self._decided: dict[str, str | None] = {}  # first segment of a unit -> the unit's member from now on

    def member_of(self, unit: list[Segment]) -> str | None:
        key = unit[0].id
        if key not in self._decided:
            present = next((segment for segment in unit if segment.id in self._before.entered_ms), None)
            self._decided[key] = self._decide(unit, present)
        return self._decided[key]

    def _is_member(self, segment_id: str) -> bool:
        unit = next((unit for unit in self._units if any(segment.id == segment_id for segment in unit)), None)
        return unit is not None and self.member_of(unit) == segment_id

    def _decide(self, unit: list[Segment], present: Segment | None) -> str | None:
        wanted = next((segment.id for segment in unit if self._holds(segment, present)), None)
        if present is not None and wanted != present.id and self._dwells(present):
            self._noted["dwell waits"] += 1
            return present.id
        return wanted

    def _holds(self, segment: Segment, present: Segment | None) -> bool:
        if segment is present:
            leave = segment.exit_when
            return truth(segment.when, self._moment) if leave is None else not truth(leave, self._moment)
        enters = truth(segment.when, self._moment)
        if segment.exit_when is not None and truth(segment.exit_when, self._moment):
            enters = False
        if enters and self._cools_down(segment):
            self._noted["cooldown waits"] += 1
            return False
        return enters

    def _dwells(self, segment: Segment) -> bool:
        return self._now_ms < self._before.entered_ms[segment.id] + segment.min_dwell_ms

    def _cools_down(self, segment: Segment) -> bool:
        left = self._before.left_ms.get(segment.id)
        return left is not None and self._now_ms < left + segment.cooldown_ms


def evaluate_segments(
    units: list[list[Segment]],
    account: Account,
    now_ms: int,
    memberships: Memberships,
    thresholds: Thresholds,
    noted: Counter[str],
) -> list[Transition]:
    """One pass; ``memberships`` is brought up to date."""
    evaluation = Evaluation(units, account, now_ms, memberships, thresholds, noted)
    decided = [(unit, evaluation.member_of(unit)) for unit in units]
    found: list[Transition] = []
    for unit, member in decided:
        was = next((segment.id for segment in unit if segment.id in memberships.entered_ms), None)
        if member == was:
            continue
        memberships.sequence += 1
        entered_ms = memberships.entered_ms.pop(was) if was is not None else None
        if was is not None:
            memberships.left_ms[was] = now_ms
        if member is not None:
            memberships.entered_ms[member] = now_ms
        found.append(
            {
                "segment": member or was,
                "direction": "entered" if was is None else "exited" if member is None else "moved",
                "group": unit[0].group,
                "from_segment": was if member is not None else None,
                "effective_at": format_time(now_ms),
                "sequence": memberships.sequence,
                "entered_at": None if entered_ms is None else format_time(entered_ms),
            }
        )
    return found
