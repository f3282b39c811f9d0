import asyncio

import pytest

from streams.runtime import ticks
from streams.runtime.failure import FailReason
from streams.runtime.partition import Standing
from streams.runtime.stage import Output
from tests.unit.runtime.world import World


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(ticks, "TICK_S", 0.001)
    return World()


async def test_active_partitions_are_ticked_and_told_whether_they_are_caught_up(world: World) -> None:
    await world.assign(0, 1)
    partition = world.assignment.get(0)
    assert partition is not None
    partition.observe(Standing(0, 0, 0, 1))
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    await asyncio.sleep(0.05)
    await world.assignment.suspend()
    await asyncio.sleep(0.01)
    counts = [len(stage.ticks) for stage in world.stages.values()]
    await asyncio.sleep(0.02)
    task.cancel()
    assert min(counts) > 2
    assert counts == [len(stage.ticks) for stage in world.stages.values()], "suspended partitions are not ticked"
    assert set(world.stages[0].ticks) == {True}
    assert set(world.stages[1].ticks) == {False}
    await world.assignment.close()


async def test_what_a_stage_makes_by_itself_is_flushed(world: World) -> None:
    await world.assign(0)
    world.stages[0].outputs.append(Output("out", b"k", b"delivered"))
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    await asyncio.sleep(0.1)
    task.cancel()
    assert [one.value for one in world.writers[0].committed[0].outputs] == [b"delivered"]
    await world.assignment.close()


async def test_an_error_in_a_tick_stops_the_worker(world: World) -> None:
    await world.assign(0)
    world.stages[0].error = ValueError()
    await asyncio.wait_for(ticks.tick_for_ever(world.assignment, world.failure), 1)
    assert world.failure.reason is FailReason.STAGE
    await world.assignment.close()
