"""An explanation agrees with the engine: what holds now, who enters when, and no rule is beyond it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec
import pytest

from schemas.catalog import Catalog
from schemas.dead_letter import Rejected
from schemas.timestamps import YEAR_9999_END_MS, format_ms
from schemas.wire import decode_event
from streams.engine import codec
from streams.engine.explain import SegmentState, explain
from streams.engine.partition import Partition
from streams.engine.program import Program, compile_catalog
from streams.engine.record import file_arrival
from streams.engine.rules.compile import compile_values
from streams.engine.rules.judge import Named
from streams.replay.story import story_of
from tests.model.scenarios import random_scenario

SEEDS = range(1_000, 1_080)


def _turning(told: list[SegmentState], bits: Mapping[str, int]) -> Iterator[tuple[str, int, bool, int]]:
    """The parts that turn by themselves."""
    for state in told:
        for rule in (state.when, state.exit_when):
            for part in rule.parts if rule else ():
                if part.turns_at is not None:
                    yield part.text, bits[state.segment.id], part.holds, part.turns_at


def _holds(program: Program, stored: bytes, bit: int, part: str, at: int) -> bool:
    """Whether a part holds at a moment that is reached without records."""
    partition = Partition(program)
    partition.restore("acme", stored)
    partition.advance_to(at)
    found = partition.account("acme")
    assert found is not None
    account, working = found
    working.roll(program.calendar.day_of(at))
    return bool(_parts(program, bit)(account, working, at, working.members)[part])


def _parts(program: Program, bit: int) -> Named:
    """Which parts of a segment's rules hold, by their text."""
    parts = {part.text: part for rule in program.rules[bit].conditions() for part in rule.parts()}
    return compile_values(parts, program.slots, program.bits)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_explanation_agrees_with_the_engine(seed: int) -> None:
    scenario = random_scenario(seed, records=(3, 20))
    segments = [{**segment, "enabled": True} for segment in scenario.catalog["segments"]]
    program = compile_catalog(Catalog.model_validate({**scenario.catalog, "segments": segments}))
    partition = Partition(program)
    for line in scenario.lines:
        with suppress(Rejected):
            event = decode_event(line.encode())
            arrival = file_arrival(event)
            if arrival is not None:
                partition.apply("acme", event, line.encode(), arrival)
    found = partition.account("acme")
    if found is None:
        return
    account, working = found
    before = codec.encode(account)
    told = explain(account, working, account.now)
    assert codec.encode(account) == before
    story = story_of("acme", account, working, partition.take_transitions(), account.now)
    msgspec.json.encode(story)  # nothing in it that JSON does not know
    later = Partition(program)
    later.restore("acme", before)
    later.advance_to(YEAR_9999_END_MS)
    ahead = later.take_transitions()
    for part_text, bit, holds, turns_at in _turning(told, program.bits):
        assert _holds(program, before, bit, part_text, turns_at - 1) is holds, part_text
        assert _holds(program, before, bit, part_text, turns_at) is not holds, part_text
    for state in told:
        bit = program.bits[state.segment.id]
        parts = _parts(program, bit)(account, working, account.now, working.members)
        seen = [*state.when.parts, *(state.exit_when.parts if state.exit_when else ())]
        assert {part.text: part.holds for part in seen} == parts
        entries = [one.effective_at for one in ahead if one.segment == state.segment.id and one.direction != "exited"]
        expected = None if state.entered_at is not None else min(entries, default=None)
        assert state.enters_at == expected, state.segment.id
    present = [stay.segment for stay in story.memberships if stay.left_at is None]
    assert sorted(present) == sorted(account.members)
    assert {stay.segment: stay.entered_at for stay in story.memberships if stay.left_at is None} == {
        segment: format_ms(at) for segment, at in account.members.items()
    }
