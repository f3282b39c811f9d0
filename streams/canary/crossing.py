"""Which segment the canary crosses: found by trying, with the engine itself, under the catalog in force.

Theory of operation. An account that does the one event and the other in turn is played through the engine, at ages
from a minute to some years, the way the canary will: out, then in and out again and again. A segment will do if every
`in` lets the account enter it and every `out` lets it leave, at every age: then rules with a dwell, a cooldown, a
window or an age are ruled out without a word about them here. Of those that will do the first in the catalog is taken.
The default catalog has `not_activated`: a customer who never did the checklist, who cancels and comes back.

Nothing is read but the catalog, so the same catalog always gives the same crossing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.canary import CANARY_PREFIX
from schemas.timestamps import DAY_MS, MINUTE_MS
from schemas.wire import decode_event
from streams.canary.ways import TRAIT, Side, Way, event_of
from streams.engine.partition import Partition
from streams.engine.program import Program

START_MS: Final = 1_767_225_600_000  # 2026-01-01; any will do
AGES_DAYS: Final = (0, 1, 3, 5, 8, 14, 15, 21, 22, 29, 31, 45, 61, 91, 121, 150, 181, 366, 800)
ROUNDS: Final = 2
ACCOUNT: Final = f"{CANARY_PREFIX}trial"

ADVICE: Final = (
    "no segment of catalog {name} ({version}) can be crossed on schedule; give it one: "
    f'{{{{id: pegel_canary, name: Canary, when: \'trait("{TRAIT}") == "in"\'}}}}'
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """How the canary gets into a segment and out of it, under one version of the catalog."""

    way: Way
    segment: str
    catalog_version: str


def crosses(segment: str, direction: str, from_segment: str | None, watched: str) -> Side | None:
    """Which way a transition crosses the watched segment, if it does."""
    if segment == watched:
        return Side.OUT if direction == "exited" else Side.IN
    return Side.OUT if from_segment == watched else None


def choose(program: Program) -> Crossing | None:
    """The first way and segment that will do; None if there is none."""
    for way in Way:
        will_do = set(program.ids)
        for entered in _tried(program, way):
            will_do &= entered
        for segment in program.ids:
            if segment in will_do:
                return Crossing(way, segment, program.version)
    return None


def advice(program: Program) -> str:
    return ADVICE.format(name=program.catalog.name, version=program.version)


def _tried(program: Program, way: Way) -> Iterator[set[str]]:
    """Of each crossing, the segments that were crossed as they should be, by that very record."""
    partition = Partition(program)
    for number, (side, at_ms) in enumerate(_schedule()):
        raw = event_of(way, side, ACCOUNT, f"{number}", at_ms)
        partition.apply(ACCOUNT, decode_event(raw), raw, at_ms)
        found = partition.take_transitions()
        if number == 0:
            continue  # where an account begins is no crossing
        mine = [one for one in found if one.trigger == (f"{number}", "group" if way is Way.TRAIT else "track")]
        crossed = {name for one in mine for name in (one.segment, one.from_segment) if name is not None}
        yield {
            name
            for name in crossed
            if all(crosses(one.segment, one.direction, one.from_segment, name) in (side, None) for one in mine)
        }


def _schedule() -> Iterator[tuple[Side, int]]:
    yield Side.OUT, START_MS
    for days in AGES_DAYS:
        for step in range(2 * ROUNDS):
            yield (Side.OUT if step % 2 else Side.IN), START_MS + days * DAY_MS + (step + 1) * MINUTE_MS
