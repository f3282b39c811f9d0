import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.runtime.failure import FailReason, FailStop, RuntimeFailure
from streams.runtime.flush import (
    BEHIND_INTERVALS,
    BEHIND_RECORDS,
    GATHER_S,
    OFFSET_ONLY_INTERVAL_S,
    PRESSING_S,
    PRESSING_SHARE,
    STATE_INTERVALS,
    Flusher,
    FlushNote,
    Urgency,
    may_gather,
    pause_s,
    urgency_of,
)
from streams.runtime.partition import Partition
from streams.runtime.stage import Output
from tests.unit.runtime.fakes import FakeStage, FakeWriter, batch_of


class Bench:
    """A partition with a fake stage and writer, and a flusher around it."""

    def __init__(self, interval_ms: int = 10) -> None:
        self.failure = FailStop()
        self.notes: list[FlushNote] = []
        self.flusher = Flusher(interval_ms, self.failure, self.notes.append)
        self.stage, self.writer = FakeStage(), FakeWriter()
        self.partition = Partition(0, self.stage, self.writer)
        self.partition.begin_epoch(1)
        self.partition.active = True

    def apply(self, *offsets: int) -> None:
        self.partition.take(batch_of(self.partition, *offsets))

    @property
    def positions(self) -> list[int]:
        return [one.position for one in self.writer.committed]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.flusher.forget(made.partition)


async def test_a_flush_commits_what_was_applied(bench: Bench) -> None:
    bench.apply(0, 1, 2)
    await bench.flusher.flush_all([bench.partition])
    (committed,) = bench.writer.committed
    assert [output.value for output in committed.outputs] == [b"0", b"1", b"2"]
    assert committed.position == bench.partition.committed == 3
    assert bench.notes[0].topics == {"out": 3}
    assert bench.notes[0].changes == 1


async def test_flushes_of_a_partition_follow_each_other_and_what_came_meanwhile_waits(bench: Bench) -> None:
    bench.writer.gate = asyncio.Event()
    bench.apply(0)
    first = asyncio.create_task(bench.flusher.flush_all([bench.partition]))
    await asyncio.sleep(0.01)
    bench.apply(1, 2)
    second = asyncio.create_task(bench.flusher.flush_all([bench.partition]))
    await asyncio.sleep(0.01)
    assert bench.positions == []
    bench.writer.gate.set()
    await asyncio.gather(first, second)
    assert bench.positions == [1, 3]


async def test_partitions_flush_side_by_side() -> None:
    bench, other = Bench(), Bench()
    bench.writer.gate = asyncio.Event()
    bench.apply(0)
    other.apply(0)
    both = asyncio.create_task(bench.flusher.flush_all([bench.partition, other.partition]))
    await asyncio.sleep(0.01)
    assert (bench.positions, other.positions) == ([], [1])
    bench.writer.gate.set()
    await both


async def test_after_a_failed_flush_nothing_is_committed_any_more(bench: Bench) -> None:
    bench.apply(0)
    bench.writer.error = OSError("broker gone")
    with pytest.raises(RuntimeFailure):
        await bench.flusher.flush_all([bench.partition])
    bench.writer.error = None
    bench.apply(1)
    with pytest.raises(RuntimeFailure):
        await bench.flusher.flush_all([bench.partition])
    assert bench.writer.committed == []
    assert bench.failure.reason is FailReason.FLUSH


async def test_a_failure_elsewhere_stops_all_flushes(bench: Bench) -> None:
    bench.apply(0)
    bench.failure.fail(FailReason.STAGE, ValueError())
    with pytest.raises(RuntimeFailure):
        await bench.flusher.flush_all([bench.partition])
    assert bench.writer.committed == []


async def test_cancelling_whoever_waits_does_not_cut_a_flush(bench: Bench) -> None:
    bench.writer.gate = asyncio.Event()
    bench.apply(0)
    waiting = asyncio.create_task(bench.flusher.flush_all([bench.partition]))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.sleep(0.01)
    bench.writer.gate.set()
    await asyncio.sleep(0.01)
    assert bench.positions == [1]
    assert not bench.failure.failed


async def test_a_write_that_is_cancelled_is_a_failure(bench: Bench) -> None:
    bench.apply(0)
    bench.writer.error = asyncio.CancelledError()
    with pytest.raises(RuntimeFailure):
        await bench.flusher.flush_all([bench.partition])
    assert bench.failure.reason is FailReason.FLUSH


async def test_the_timer_flushes_soon_after_a_quiet_time(bench: Bench) -> None:
    bench.flusher.watch(bench.partition)
    bench.apply(0)
    await asyncio.sleep(GATHER_S * 10)
    assert bench.positions == [1]


async def test_the_timer_ends_with_the_partition_but_not_within_a_flush(bench: Bench) -> None:
    bench.flusher.watch(bench.partition)
    bench.writer.gate = asyncio.Event()
    bench.apply(0)
    await asyncio.sleep(GATHER_S * 10)
    forgetting = asyncio.create_task(bench.flusher.forget(bench.partition))
    await asyncio.sleep(0.01)
    assert not forgetting.done()
    bench.writer.gate.set()
    await forgetting
    assert bench.positions == [1]
    bench.apply(1)
    await asyncio.sleep(0.05)
    assert bench.positions == [1]


async def test_a_partition_that_was_given_away_is_never_flushed_again(bench: Bench) -> None:
    bench.writer.gate = asyncio.Event()
    bench.apply(0)
    begun = asyncio.create_task(bench.flusher.flush_all([bench.partition]))
    await asyncio.sleep(0.01)
    forgetting = asyncio.create_task(bench.flusher.forget(bench.partition))
    await asyncio.sleep(0.01)
    bench.apply(1)  # a stage's own task may still finish something
    waiting = asyncio.create_task(bench.flusher.flush_all([bench.partition]))
    bench.writer.gate.set()
    await asyncio.gather(begun, forgetting, waiting)
    assert bench.positions == [1]


async def test_the_timer_lets_partitions_rest_during_a_rebalance(bench: Bench) -> None:
    bench.flusher.watch(bench.partition)
    bench.apply(0)
    bench.partition.active = False
    await asyncio.sleep(GATHER_S * 20)
    assert bench.positions == []
    bench.partition.active = True
    bench.partition.work.set()
    await asyncio.sleep(GATHER_S * 20)
    assert bench.positions == [1]


async def test_an_error_of_the_stage_in_the_timer_stops_the_worker(bench: Bench) -> None:
    def broken() -> bool:
        raise ValueError

    bench.stage.dirty = broken  # type: ignore[method-assign]
    bench.flusher.watch(bench.partition)
    bench.apply(0)
    await asyncio.wait_for(bench.failure.wait(), 1)
    assert bench.failure.reason is FailReason.STAGE


@pytest.mark.parametrize(
    ("urgency", "last_took_s", "expected"),
    [
        pytest.param(Urgency.PRESSING, 0.01, PRESSING_SHARE * 0.01, id="presses, flushes are quick: soon"),
        pytest.param(Urgency.PRESSING, 0.08, 0.1, id="presses, flushes take long: an interval at most"),
        pytest.param(Urgency.OUTPUTS, 0.01, 0.1, id="outputs: an interval"),
        pytest.param(Urgency.STATE, 0.01, STATE_INTERVALS * 0.1, id="state alone: some intervals"),
        pytest.param(Urgency.OFFSET, 0.01, OFFSET_ONLY_INTERVAL_S, id="offset alone: slowly"),
    ],
)
def test_the_pause_between_flushes(urgency: Urgency, last_took_s: float, expected: float) -> None:
    assert pause_s(urgency, 0.1, last_took_s) == pytest.approx(expected)
    if urgency is not Urgency.OFFSET:
        assert pause_s(urgency, 0.1, last_took_s, behind=True) == pytest.approx(BEHIND_INTERVALS * 0.1)


def test_what_presses_waits_a_little_for_each_partition_that_flushes_too() -> None:
    """So that the flushes of a worker cost the same however many partitions it has."""
    pauses = [pause_s(Urgency.PRESSING, 0.1, 0.001, partitions=partitions) for partitions in (1, 4, 8, 100)]
    assert pauses == pytest.approx([PRESSING_S, 4 * PRESSING_S, 0.1, 0.1])
    assert pause_s(Urgency.PRESSING, 0.1, 0.02, partitions=4) == pytest.approx(PRESSING_SHARE * 0.02)


class PressingStage(FakeStage):
    """Every second record presses."""

    def pressing(self) -> bool:
        return any(int(output.value or b"0") % 2 for output in self.outputs)


def test_a_stage_that_tells_nothing_apart_has_outputs_or_nothing() -> None:
    stage = FakeStage()
    assert urgency_of(stage) is Urgency.OFFSET
    stage.outputs.append(Output("out", b"k", b"0"))
    assert urgency_of(stage) is Urgency.OUTPUTS


async def test_state_waits_and_takes_part_as_soon_as_something_presses() -> None:
    bench = Bench(interval_ms=600_000)
    bench.partition.stage = stage = PressingStage()
    bench.flusher.watch(bench.partition)
    bench.apply(0)
    assert urgency_of(stage) is Urgency.STATE
    await asyncio.sleep(GATHER_S * 20)  # after a quiet time even state goes at once
    assert bench.positions == [1]
    bench.apply(2)
    await asyncio.sleep(0.05)
    assert bench.positions == [1]
    bench.apply(3)
    await asyncio.sleep(0.05)
    assert bench.positions == [1, 4]
    await bench.flusher.forget(bench.partition)


async def test_a_partition_that_is_far_behind_gathers_more_into_each_flush_until_its_stage_is_full() -> None:
    bench = Bench(interval_ms=50)
    bench.partition.stage = stage = PressingStage()
    bench.partition.lag = lambda: BEHIND_RECORDS + 1  # type: ignore[method-assign]
    bench.flusher.watch(bench.partition)
    bench.apply(1)
    await asyncio.sleep(GATHER_S * 10)
    assert bench.positions == [2]
    bench.apply(3)
    bench.partition.hurry.set()
    await asyncio.sleep(0.1)
    assert bench.positions == [2]
    stage.full = True
    await asyncio.sleep(0.1)
    assert bench.positions == [2, 4]


class SlicedStage(FakeStage):
    """Its slices go on after a flush."""

    backlog = True

    def has_backlog(self) -> bool:
        return self.backlog

    def work_off(self) -> bool:
        return False


def test_a_partition_that_is_far_behind_does_not_gather_while_its_slices_wait_for_a_flush() -> None:
    stage = SlicedStage()
    partition = Partition(0, stage, FakeWriter())
    partition.lag = lambda: BEHIND_RECORDS + 1  # type: ignore[method-assign]
    assert not may_gather(partition)
    stage.backlog = False
    assert may_gather(partition)
    partition.lag = lambda: BEHIND_RECORDS  # type: ignore[method-assign]
    assert not may_gather(partition)


async def test_what_may_hang_is_ended_before_anything_is_written_and_though_nothing_is(bench: Bench) -> None:
    bench.writer.may_hang = True
    await bench.flusher.flush_all([bench.partition])
    assert bench.writer.events == ["end hanging"]
    assert not bench.writer.committed
    bench.writer.may_hang = True
    bench.apply(0)
    await bench.flusher.flush_all([bench.partition])
    assert bench.writer.events == ["end hanging", "end hanging"]
    assert bench.positions == [1]
