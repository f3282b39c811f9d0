"""What concerns every account is worked off in slices, between records: laws of the stage."""

from typing import Any

import pytest

from streams.engagement import stage as module
from streams.engagement.clock import ClockReason, PartitionClock
from streams.engine import partition
from tests.unit.engagement.log import CATALOG, DAY, RANKED, START, TOPICS, World, config

ACCOUNTS = 12
DUE = START + 4 * DAY + 60_000


@pytest.fixture(autouse=True)
def _slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_ACCOUNTS", 2)


def crowd() -> World:
    """Accounts whose deadlines all fall on one moment, which the clock in the log has just reached; none has fired."""
    world = World(config())
    for number in range(ACCOUNTS):
        world.publish(f"account-{number}", f"m{number}", START)
    world.run(START)
    world.slices = iter([0] * 1_000)
    world.step(0, DUE)
    world.step(0, DUE)
    assert world.controls()[-1] == "clock"
    assert world.stages[0].has_backlog()
    return world


def exits(world: World) -> list[str]:
    return [account for account, _, direction, _ in world.told() if direction == "exited"]


def test_a_slice_takes_no_more_accounts_than_it_may_and_a_flush_follows_with_their_rows() -> None:
    world = crowd()
    for done in range(1, ACCOUNTS // 2 + 1):
        assert world.stages[0].work_off()
        drained = world.stages[0].drain()
        assert len([key for key, _ in drained.changes if key.startswith(b"a")]) == 2
        assert len([output for output in drained.outputs if output.topic == TOPICS.transitions]) == 2
        assert world.stages[0].has_backlog(), done
    world.stages[0].work_off()
    assert not world.stages[0].has_backlog()
    assert not world.stages[0].work_off()


def test_slices_wait_for_a_flush_when_enough_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICED_RECORDS_MAX", 10)
    world = crowd()
    slices = 0
    while world.stages[0].work_off():
        slices += 1
    assert 1 <= slices < ACCOUNTS // 2
    assert not world.stages[0].saturated(), "events are not held back by it"
    world.flush(0)
    assert world.stages[0].work_off()


def test_events_are_applied_while_a_backlog_is_pending_and_bring_their_account_up_first() -> None:
    world = crowd()
    world.publish("account-7", "late", DUE)
    world.publish("somebody", "new", DUE)
    world.step(0, DUE)
    told = world.told()[ACCOUNTS:]
    assert told[0] == ("account-7", "fresh", "exited", "deadline")
    assert told[1][:3] == ("somebody", "fresh", "entered")
    assert exits(world) == ["account-7"]
    world.slices = None
    world.run(DUE)
    assert sorted(exits(world)) == sorted(f"account-{number}" for number in range(ACCOUNTS))


def test_a_backlog_survives_kills_between_slices_though_its_record_is_committed() -> None:
    world = crowd()
    for flushed in (True, False, True, False):
        world.restart()
        assert world.stages[0].has_backlog()
        world.stages[0].work_off()
        if flushed:
            world.flush(0)
    world.restart()
    assert len(exits(world)) == 4
    world.slices = None
    world.run(DUE)
    assert sorted(exits(world)) == sorted(f"account-{number}" for number in range(ACCOUNTS))
    assert world.controls().count("catalog") == 1


def test_no_clock_is_written_for_deadlines_that_are_being_worked_off() -> None:
    world = crowd()
    clocks = len(world.controls())
    for second in range(5):
        world.step(0, DUE + second * 1_000)
    assert len(world.controls()) == clocks
    world.restart()
    world.step(0, DUE + 10_000)
    assert len(world.controls()) == clocks
    clock = PartitionClock("wall", 0)
    clock.saw_arrival(DUE)
    clock.tick(DUE)
    assert clock.decide(START, START, caught_up=True, behind=True)[0] is ClockReason.BEHIND
    assert clock.decide(START, START, caught_up=True, behind=False)[0] is ClockReason.DUE


def test_accounts_decoded_for_a_slice_are_not_kept_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "LIVE_ACCOUNTS_MAX", 3)
    world = crowd()
    world.restart()
    engine = world.stages[0]._engine
    while world.stages[0].work_off():
        assert len(engine._live) == 0
    world.flush(0)
    assert len(engine) == ACCOUNTS


def test_a_look_at_the_population_is_taken_in_slices_and_anew_after_a_restart() -> None:
    world = World(config(RANKED))
    for number in range(ACCOUNTS):
        for use in range(number + 1):
            world.publish(f"account-{number}", f"m{number}-{use}", START)
    world.run(START)
    world.slices = iter([2] * 1_000)
    midnight = START + DAY + 60_000
    world.step(0, midnight)
    assert world.stages[0].has_backlog()
    assert world.controls().count("sketch") == 1, "that of the first day"
    world.restart()
    world.publish("new", "m", midnight)
    for _ in range(ACCOUNTS):
        world.step(0, midnight)
    assert world.controls().count("sketch") == 2
    world.slices = None
    world.run(midnight)
    assert {account for account, segment, _, _ in world.told() if segment == "top"} == {
        f"account-{number}" for number in range(ACCOUNTS // 2 - 1, ACCOUNTS)
    }, "the first look took the upper six of twelve, this one the upper seven of thirteen"


def test_what_a_catalog_change_announces_is_announced_slice_by_slice() -> None:
    world = crowd()
    world.slices = None
    world.run(DUE)
    before = len(world.out[TOPICS.transitions])
    change = {"id": "known", "when": "True"}
    content = {**RANKED, "segments": [*RANKED["segments"][:2], change]}
    program = config(content).program
    world.publish_control("catalog", {"version": program.version, "content": program.content, "announce": True}, DUE)
    world.run(DUE)
    found = world.out[TOPICS.transitions][before:]
    assert len(found) == ACCOUNTS
    assert all(("pegel-announce", b"true") in output.headers for output in found)


@pytest.mark.parametrize(("content", "sketches"), [(CATALOG, 1), ({**RANKED, "trial_days": 3}, 2)])
def test_a_look_that_another_catalog_overtakes_is_taken_under_that_one_if_it_asks_for_any(
    content: dict[str, Any], sketches: int
) -> None:
    world = World(config(RANKED))
    for number in range(ACCOUNTS):
        world.publish(f"account-{number}", f"m{number}", START)
    world.run(START)
    world.slices = iter([1] * 3)
    world.step(0, START + DAY + 60_000)
    program = config(content).program
    change = {"version": program.version, "content": program.content}
    world.publish_control("catalog", change, START + DAY + 60_000)
    world.step(0, START + DAY + 60_000)
    world.slices = None
    world.run(START + DAY + 60_000)
    assert world.controls().count("sketch") == sketches
    assert world.stages[0].program.version == program.version
