"""Suspicion falls where work waits for somebody who is there, and lasts no longer than it takes to see a move."""

from collections.abc import Collection
from dataclasses import replace

from streams.doctor.facts import Ends, Facts
from streams.doctor.standstill import Place, standing, suspects
from streams.rebuild.log import Extent
from tests.unit.doctor.facts import TOPICS, sound, with_group

SOUND = sound()
(INTAKE,) = (one for one in SOUND.stages if one.stage == "intake")
NEAR, FAR = Place(INTAKE, 0), Place(INTAKE, 1)
WAITING = {NEAR: Extent(5, 9), FAR: Extent(0, 9)}


def suspected(facts: Facts) -> dict[tuple[str, int], Extent]:
    found = suspects(facts.stages, facts.groups, facts.ends)
    return {(place.stage.stage, place.partition): extent for place, extent in found.items()}


def at_its_end(facts: Facts) -> Facts:
    return replace(facts, ends={topic: dict.fromkeys(ends, Ends(0, 90, 95)) for topic, ends in facts.ends.items()})


def test_a_partition_that_is_read_to_its_last_stable_offset_is_no_suspect() -> None:
    assert suspected(at_its_end(SOUND)) == {}


def test_what_lies_behind_a_groups_offset_is_suspect_where_somebody_is_at_work() -> None:
    behind = with_group(at_its_end(SOUND), "intake", committed_after={0: 90, 1: 70})

    assert suspected(behind) == {("intake", 1): Extent(70, 90)}
    assert suspected(with_group(behind, "intake", members=())) == {}


def test_who_never_committed_is_at_the_logs_beginning() -> None:
    facts = with_group(at_its_end(SOUND), "intake", committed_after={0: 90})
    cut = {**facts.ends, TOPICS.product_events: dict.fromkeys((0, 1), Ends(80, 90, 90))}

    assert suspected(replace(facts, ends=cut)) == {("intake", 1): Extent(80, 90)}


class Offsets:
    """What each look finds, one after the other; the last one stays."""

    def __init__(self, *found: dict[Place, int]) -> None:
        self._found = list(found)
        self.asked: list[set[Place]] = []

    def __call__(self, places: Collection[Place]) -> dict[Place, int]:
        self.asked.append(set(places))
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


def test_one_look_is_enough_where_all_has_moved_and_none_where_nothing_waits() -> None:
    moved, unasked = Offsets({NEAR: 6, FAR: 1}), Offsets({})

    assert standing(WAITING, moved, watched_s=60, look_s=60) == set()
    assert standing({}, unasked, watched_s=60, look_s=60) == set()
    assert (len(moved.asked), len(unasked.asked)) == (1, 0)


def test_who_moved_once_is_looked_at_no_more_and_who_never_did_stands_still() -> None:
    offsets = Offsets({NEAR: 5}, {NEAR: 6}, {})

    assert standing(WAITING, offsets, watched_s=0.05, look_s=0.01) == {FAR}
    assert offsets.asked[0] == offsets.asked[1] == {NEAR, FAR}
    assert offsets.asked[2] == {FAR}
