"""Which partitions have records waiting, somebody to read them, and do not move.

Theory of operation. Members of a group and its state say little about work: a worker with a fixed name that ends again
and again stays a member, for its session outlives each end, and the group looks at rest. What shows it are offsets that
stay where they are. A partition that is behind by offsets need not have anything to read, though: the markers of
transactions count as offsets and are no records. So:

1. suspects are partitions behind the last stable offset, of groups with members: who is not at work is told elsewhere;
2. those behind which no committed record lies are idle;
3. the rest is looked at until each has moved, or for `WATCHED_S`. A worker flushes several times a second.

Where nothing lags this costs nothing, and where all is well one look.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from streams.doctor.facts import Ends, GroupFacts, StageTopics, Standstill
from streams.rebuild.groups import committed_offsets
from streams.rebuild.log import Extent, LogReader
from streams.settings import Settings

WATCHED_S: Final = 5.0
LOOK_S: Final = 0.5


class Place(NamedTuple):
    """One partition of what a stage reads."""

    stage: StageTopics
    partition: int


Looks = Callable[[Collection[Place]], Mapping[Place, int]]
"""Where the groups are now; a place without an offset is left out."""


def standstills(
    settings: Settings,
    stages: Sequence[StageTopics],
    groups: Mapping[str, GroupFacts],
    ends: Mapping[str, Mapping[int, Ends]],
) -> tuple[Standstill, ...]:
    """Partitions that stand still with work to do."""
    behind = suspects(stages, groups, ends)
    waiting = _with_records(settings, behind)
    still = standing(waiting, lambda places: _committed(settings, places), WATCHED_S, LOOK_S)
    at_rest = {one.stage.stage for one in waiting} - {one.stage.stage for one in waiting.keys() - still}
    return tuple(
        Standstill(
            stage=place.stage.stage,
            partition=place.partition,
            offset=waiting[place].begin,
            behind=waiting[place].end - waiting[place].begin,
            owner=_owner(groups[place.stage.stage], place.partition),
            others_move=place.stage.stage not in at_rest,
            watched_s=WATCHED_S,
        )
        for place in sorted(still, key=lambda one: (one.stage.stage, one.partition))
    )


def suspects(
    stages: Sequence[StageTopics], groups: Mapping[str, GroupFacts], ends: Mapping[str, Mapping[int, Ends]]
) -> dict[Place, Extent]:
    """What lies between a group's offset and the last stable one, where it is not nothing and somebody is at work."""
    found = {}
    for stage in stages:
        group = groups[stage.stage]
        for partition, its in ends[stage.input].items() if group.members else ():
            at = max(group.committed_after.get(partition, 0), its.begin)
            if at < its.stable:
                found[Place(stage, partition)] = Extent(at, its.stable)
    return found


def standing(waiting: Mapping[Place, Extent], looks: Looks, watched_s: float, look_s: float) -> set[Place]:
    """Those whose offset stays where it was, looked at no longer than needed."""
    still = set(waiting)
    end = time.monotonic() + watched_s
    while still:
        now = looks(still)
        still -= {one for one in still if now.get(one, 0) > waiting[one].begin}
        if time.monotonic() >= end:
            break
        if still:
            time.sleep(look_s)
    return still


def _with_records(settings: Settings, behind: Mapping[Place, Extent]) -> dict[Place, Extent]:
    if not behind:
        return {}
    with LogReader(settings.kafka) as reader:
        found = reader.holding({(place.stage.input, place.partition): extent for place, extent in behind.items()})
    return {place: extent for place, extent in behind.items() if (place.stage.input, place.partition) in found}


def _committed(settings: Settings, places: Collection[Place]) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for stage in {place.stage for place in places}:
        partitions = sorted(place.partition for place in places if place.stage == stage)
        offsets = committed_offsets(settings.kafka, stage.group, stage.input, partitions)
        found |= {Place(stage, partition): offset for partition, offset in offsets.items()}
    return found


def _owner(group: GroupFacts, partition: int) -> str | None:
    return next((one.instance_id or one.client for one in group.members if partition in one.partitions), None)
