import asyncio

import pytest

from streams.runtime.assignment import start_offset
from streams.runtime.changelog import Loading
from streams.runtime.failure import RuntimeFailure
from streams.runtime.partition import Verdict
from tests.unit.runtime.fakes import FakeStage, FakeWriter, batch_of
from tests.unit.runtime.world import World


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_new_partition_is_fenced_then_loaded_then_placed(world: World) -> None:
    world.committed = {0: 17}
    assert await world.assign(0)
    assert world.events == ["revoked", "fence", "load", "offsets", "restored"]
    assert world.stages[0].is_restored
    assert world.assignment.restart_delivery() == {0: 17}


async def test_nothing_is_fetched_before_the_seek(world: World) -> None:
    await world.assignment.suspend()
    await world.assignment.retain([0])
    await world.assignment.load([0], world.read_committed)
    assert world.assignment.active() == []
    assert not world.assignment.settled
    world.assignment.activate(world.assignment.restart_delivery())
    assert [one.number for one in world.assignment.active()] == [0]
    assert world.assignment.settled


async def test_what_was_applied_is_flushed_before_partitions_go(world: World) -> None:
    await world.assign(0, 1)
    world.apply(0, 5, 6)
    await world.assignment.suspend()
    assert [one.position for one in world.writers[0].committed] == [7]
    assert world.assignment.active() == []


async def test_a_batch_that_was_under_way_when_partitions_were_revoked_is_void(world: World) -> None:
    await world.assign(0)
    partition = world.assignment.get(0)
    assert partition is not None
    batch = batch_of(partition, 1)
    await world.assignment.suspend()
    assert partition.take(batch) is Verdict.STALE
    await world.assign(0)
    assert partition.take(batch) is Verdict.STALE


async def test_a_partition_that_comes_back_keeps_its_state_and_producer(world: World) -> None:
    await world.assign(0, 1)
    world.apply(0, 3)
    await world.assignment.suspend()
    world.committed = {0: 4}
    kept, writer = world.assignment.get(0), world.writers[0]
    world.events.clear()
    assert await world.assign(0)
    assert world.assignment.get(0) is kept
    assert world.writers[0] is writer
    assert "fence" not in world.events
    assert world.stages[1].closed
    assert not world.stages[0].closed


async def test_a_partition_that_was_somebody_elses_meanwhile_is_loaded_anew(world: World) -> None:
    await world.assign(0)
    world.apply(0, 3)
    await world.assignment.suspend()
    stale = world.stages[0]
    world.committed = {0: 9}
    assert await world.assign(0)
    assert stale.closed
    assert world.stages[0] is not stale
    assert world.assignment.restart_delivery() == {0: 9}


async def test_a_load_that_a_newer_assignment_overtakes_leaves_nothing_behind(world: World) -> None:
    def newer() -> None:
        world.assignment.epoch += 1

    world.while_loading = newer
    assert not await world.assign(0)
    assert world.assignment.get(0) is None
    assert world.stages[0].closed
    assert "stop" in world.events


async def test_a_rebalance_waits_until_fencing_is_done(world: World) -> None:
    gate = asyncio.Event()

    class SlowWriter(FakeWriter):
        async def start(self) -> None:
            await gate.wait()
            await super().start()

    world.assignment._new_writer = lambda _: SlowWriter(world.events)
    loading = asyncio.create_task(world.assign(0))
    await asyncio.sleep(0.01)
    suspending = asyncio.create_task(world.assignment.suspend())
    await asyncio.sleep(0.01)
    assert not suspending.done()
    gate.set()
    await suspending
    assert not await loading


async def test_a_worker_without_partitions_is_settled_once_it_knows(world: World) -> None:
    await world.assignment.suspend()
    await world.assignment.retain([])
    assert not world.assignment.settled
    assert await world.assignment.load([], world.read_committed)
    assert world.assignment.settled  # Faust does not seek for it: nothing else would say so


async def test_close_lets_go_of_everything(world: World) -> None:
    await world.assign(0, 1)
    await world.assignment.close()
    assert list(world.assignment) == []
    assert all(stage.closed for stage in world.stages.values())
    assert world.events.count("stop") == 2


def loading(position: int = 0, begin: int = 0, end: int = 100) -> Loading:
    return Loading(0, FakeStage(), position=position, input_begin=begin, input_end=end)


@pytest.mark.parametrize(
    ("committed", "position", "begin", "expected"),
    [
        pytest.param(None, 0, 0, 0, id="a group that is new begins at the beginning"),
        pytest.param(None, 0, 30, 30, id="... of what the log still holds"),
        pytest.param(40, 40, 0, 40, id="offset and state agree"),
        pytest.param(60, 40, 0, 60, id="only the offset moved since"),
        pytest.param(20, 40, 0, 40, id="an offset behind the state would apply records twice"),
        pytest.param(None, 40, 0, 40, id="the offset expired"),
        pytest.param(20, 20, 30, 30, id="records were deleted before they were read"),
    ],
)
def test_where_a_loaded_partition_goes_on(committed: int | None, position: int, begin: int, expected: int) -> None:
    assert start_offset(loading(position, begin), committed) == expected


def test_state_that_is_ahead_of_its_log_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="created anew or truncated"):
        start_offset(loading(position=101), None)
