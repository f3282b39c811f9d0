import asyncio
import time
from collections.abc import Sequence

import pytest

from streams.runtime import ticks
from streams.runtime.failure import FailReason
from streams.runtime.partition import Standing
from streams.runtime.stage import InputRecord, Output
from tests.unit.runtime.fakes import FakeStage, batch_of
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


async def test_what_hangs_is_ended_though_nothing_happens_any_more(world: World) -> None:
    await world.assign(0)
    world.writers[0].may_hang = True
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    await asyncio.sleep(0.1)
    task.cancel()
    assert not world.writers[0].may_hang
    await world.assignment.close()


async def test_an_error_in_a_tick_stops_the_worker(world: World) -> None:
    await world.assign(0)
    world.stages[0].error = ValueError()
    await asyncio.wait_for(ticks.tick_for_ever(world.assignment, world.failure), 1)
    assert world.failure.reason is FailReason.STAGE
    await world.assignment.close()


class SlicedStage(FakeStage):
    """Its backlog is a number of slices, each of which makes an output; some of them wait for a flush."""

    def __init__(self, partition: int, slices: int) -> None:
        super().__init__(partition)
        self.left = slices
        self.seen: list[str] = []

    def has_backlog(self) -> bool:
        return self.left > 0

    def work_off(self) -> bool:
        if not self.left or len(self.outputs) > 3:
            return False
        self.left -= 1
        self.seen.append("slice")
        self.outputs.append(Output("out", b"k", b"%d" % self.left))
        time.sleep(ticks.SLICE_S)
        return True

    def apply(self, records: Sequence[InputRecord]) -> None:
        super().apply(records)
        self.seen.append("batch")

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        super().on_tick(now_ms, caught_up=caught_up)
        self.seen.append("tick")


async def sliced(world: World, slices: int) -> SlicedStage:
    stage = SlicedStage(0, slices)
    await world.assign(0)
    partition = world.assignment.get(0)
    assert partition is not None
    partition.stage = stage
    return stage


async def test_batches_flushes_and_ticks_have_their_turn_between_slices(world: World) -> None:
    stage = await sliced(world, 40)
    partition = world.assignment.get(0)
    assert partition is not None
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    for offset in range(5):
        await asyncio.sleep(0)
        partition.take(batch_of(partition, offset))
    while stage.left or stage.outputs:  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0.001)
    task.cancel()
    assert stage.seen.index("batch") < 8, "a batch waits for a slice or two"
    assert "tick" in stage.seen[: len(stage.seen) // 2]
    assert len(world.writers[0].committed) >= 40 / 4, "a backlog waits for flushes, and they come"
    assert sum(len(one.outputs) for one in world.writers[0].committed) == 45
    await world.assignment.close()


async def test_without_a_backlog_nothing_is_asked_between_two_ticks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "TICK_S", 60)
    stage = await sliced(world, 0)
    asked: list[bool] = []

    def has_backlog() -> bool:
        asked.append(True)
        return False

    monkeypatch.setattr(stage, "has_backlog", has_backlog)
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    await asyncio.sleep(0.05)
    task.cancel()
    assert len(asked) == 1
    await world.assignment.close()


async def busy(turns: int, stage: SlicedStage, seen_as: str) -> None:
    """A chain of turns that all have something to do, as a flush is."""
    for _ in range(turns):
        time.sleep(2 * ticks.IDLE_TURN_S)  # noqa: ASYNC251 - it computes
        await asyncio.sleep(0)
    stage.seen.append(seen_as)


async def test_what_follows_from_what_is_ready_goes_before_the_next_slice(world: World) -> None:
    stage = await sliced(world, 3)
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    chain = asyncio.create_task(busy(ticks.TURNS_MAX - 2, stage, "flush"))
    await chain
    while stage.left:  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0.001)
    task.cancel()
    assert stage.seen.index("flush") == stage.seen.index("slice") + 1
    await world.assignment.close()


async def test_slices_have_a_turn_though_the_loop_is_never_idle(world: World) -> None:
    stage = await sliced(world, 2)
    task = asyncio.create_task(ticks.tick_for_ever(world.assignment, world.failure))
    chain = asyncio.create_task(busy(4 * ticks.TURNS_MAX, stage, "done"))
    await chain
    task.cancel()
    assert [one for one in stage.seen if one != "tick"] == ["slice", "slice", "done"]
    await world.assignment.close()


async def test_an_error_in_a_slice_stops_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await sliced(world, 1)

    def fail() -> bool:
        raise ValueError

    monkeypatch.setattr(stage, "work_off", fail)
    await asyncio.wait_for(ticks.tick_for_ever(world.assignment, world.failure), 1)
    assert world.failure.reason is FailReason.STAGE
    await world.assignment.close()
