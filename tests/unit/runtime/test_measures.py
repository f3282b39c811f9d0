"""Laws of what the runtime measures: lag, freshness, commits, what was lost, how late the loop is."""

import asyncio
from collections.abc import Sequence
from itertools import count

import pytest

from streams.metric_registry import Metrics
from streams.metrics import HISTORY_S
from streams.runtime.assignment import records_lost
from streams.runtime.changelog import Loading
from streams.runtime.export import Exporter, freshness
from streams.runtime.failure import FailReason, FailStop
from streams.runtime.flush import Flusher, FlushNote
from streams.runtime.partition import SAMPLES_MAX, Batch, Partition, Standing
from streams.runtime.stage import Drained
from streams.runtime.vitals import Vitals
from tests.unit.runtime.fakes import FakeRecord, FakeStage, FakeWriter
from tests.unit.runtime.world import World

NOW_MS = 1_800_000_000_000


class Made:
    """A partition whose records are a second apart, the one of offset 0 at `NOW_MS`."""

    def __init__(self) -> None:
        self.stage, self.writer = FakeStage(), FakeWriter()
        self.partition = Partition(7, self.stage, self.writer)
        self.partition.begin_epoch(1)
        self.partition.active = True

    def fetch(self, offsets: Sequence[int], end: int) -> None:
        records = [FakeRecord(offset, timestamp=NOW_MS + offset * 1_000) for offset in offsets]
        read_from = self.partition._read_to
        self.partition.observe(Standing(read_from, offsets[-1] + 1, end, None))
        self.partition.hold(records, NOW_MS + 10**9)

    def apply(self, *offsets: int) -> None:
        self.fetch(offsets, offsets[-1] + 1)
        self.partition.take(self.partition.release())

    def lag(self) -> tuple[int | None, float]:
        return self.partition.lag(), self.partition.lag_ms(NOW_MS + 100_000) / 1_000


def test_lag_is_as_old_as_the_oldest_record_that_was_not_applied() -> None:
    made = Made()
    assert made.lag() == (None, 0)
    made.fetch([10, 11, 12], end=20)
    assert made.lag() == (20, 90), "on the shelf"
    first = made.partition.release()
    made.fetch([13, 14], end=20)
    second = made.partition.release()
    assert made.lag() == (20, 90), "under way"
    made.partition.take(first)
    assert made.lag() == (7, 87), "the second batch"
    made.partition.take(second)
    assert made.lag() == (5, 86), "not fetched: no older than the last one that was applied"
    made.apply(*range(15, 20))
    assert made.lag() == (0, 0)


def test_what_is_ahead_of_the_clock_is_not_of_negative_age() -> None:
    made = Made()
    made.fetch([200], end=201)
    assert made.lag() == (201, 0)


def test_a_rebalance_forgets_what_was_under_way() -> None:
    made = Made()
    made.fetch([0, 1], end=2)
    made.partition.release()
    made.partition.begin_epoch(2)
    made.partition.observe(Standing(0, 0, 2, None))
    assert made.lag() == (2, 0), "nothing was applied yet, so nothing is known"
    made.apply(0, 1)
    assert made.lag() == (0, 0)


def test_of_a_flush_the_first_and_last_record_of_some_batches_are_sampled() -> None:
    made = Made()
    made.apply(0, 1, 2, 3)
    made.apply(4, 5)
    captured = made.partition.capture()
    assert captured is not None
    assert [(at - NOW_MS) // 1_000 for at, told in captured.fresh if told is None] == [0, 3, 4, 5]


def test_no_more_than_so_many_are_sampled() -> None:
    made = Made()
    for offset in range(100):
        made.apply(offset)
    assert len(made.partition._samples) == SAMPLES_MAX
    captured = made.partition.capture()
    assert captured is not None
    assert len(captured.fresh) == SAMPLES_MAX


def test_a_record_that_is_still_at_work_is_not_measured_before_it_is_done() -> None:
    made = Made()
    made.apply(0, 1)
    made.stage.hold = 1
    first = made.partition.capture()
    made.partition.committed = 1
    made.stage.hold = None
    made.apply(2)
    second = made.partition.capture()
    assert first is not None
    assert second is not None
    assert [len(one.fresh) for one in (first, second)] == [1, 3]


def test_a_record_that_led_to_nothing_is_not_measured() -> None:
    made = Made()
    made.apply(0, 1)
    made.stage.outputs = []
    captured = made.partition.capture()
    assert captured is not None
    assert captured.fresh == ()
    made.apply(2)
    captured = made.partition.capture()
    assert captured is not None
    assert len(captured.fresh) == 2


def test_what_a_stage_says_of_its_freshness_counts_and_nothing_else() -> None:
    made = Made()

    def drain() -> Drained:
        return Drained([], [(b"k", b"v")], [(NOW_MS, "t-1")])

    made.stage.drain = drain  # type: ignore[method-assign]
    made.apply(0, 1)
    captured = made.partition.capture()
    assert captured is not None
    assert captured.fresh == [(NOW_MS, "t-1")]


async def test_a_flush_is_noted_with_its_commit_and_what_it_made_visible() -> None:
    made, notes = Made(), list[FlushNote]()
    made.writer.commit_took_s = 0.25
    flusher = Flusher(10, FailStop(), notes.append)
    made.apply(0)
    await flusher.flush_all([made.partition])
    assert [(one.commit_seconds, list(one.fresh)) for one in notes] == [(0.25, [(NOW_MS, None)] * 2)]


def test_freshness_is_measured_from_the_record_to_now_and_leaves_history_out() -> None:
    now_s = NOW_MS / 1_000
    seen = freshness([(NOW_MS - 250, "a"), (NOW_MS + 5_000, "b"), (NOW_MS - HISTORY_S * 1_000 - 1, "c")], now_s)
    assert seen == [(0.25, "a"), (0.0, "b")]


def test_what_a_flush_made_visible_is_observed_once_each() -> None:
    metrics = Metrics("engagement")
    exporter = Exporter(metrics, lambda: NOW_MS / 1_000)
    exporter.note_flush(FlushNote(0.1, 1, {}, 0.02, [(NOW_MS - 60, "a"), (NOW_MS - 400, "b")]))
    labels = {"stage": "engagement"}
    assert value(metrics, "pegel_freshness_seconds_count", labels) == 2
    assert value(metrics, "pegel_freshness_seconds_sum", labels) == pytest.approx(0.46)
    assert value(metrics, "pegel_commit_duration_seconds_sum", labels) == pytest.approx(0.02)


def value(metrics: Metrics, name: str, labels: dict[str, str]) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_lag_is_shown_in_records_and_seconds_by_partition() -> None:
    metrics, world = Metrics("intake"), World()
    await world.assign(0, 1)
    held = world.assignment.get(1)
    assert held is not None
    held.observe(Standing(0, 1, 3, None))
    held.hold([FakeRecord(0, timestamp=NOW_MS - 4_000)], NOW_MS)
    Exporter(metrics, lambda: NOW_MS / 1_000).export(world.assignment)
    assert value(metrics, "pegel_lag_records", {"stage": "intake", "partition": "1"}) == 3
    assert value(metrics, "pegel_lag_seconds", {"stage": "intake", "partition": "1"}) == 4
    assert value(metrics, "pegel_lag_seconds", {"stage": "intake", "partition": "0"}) == 0
    await world.assignment.close()


async def test_a_load_shows_how_far_it_is_and_1_when_nothing_loads() -> None:
    metrics, world = Metrics("intake"), World()
    exporter, labels = Exporter(metrics), {"stage": "intake"}
    seen: list[float | None] = []

    def while_loading() -> None:
        first, second = world.assignment.loadings
        first.end, first.read_to, second.end = 100, 50, 100
        exporter.export(world.assignment)
        seen.append(value(metrics, "pegel_restore_progress_ratio", labels))

    world.while_loading = while_loading
    await world.assign(0, 1)
    exporter.export(world.assignment)
    seen.append(value(metrics, "pegel_restore_progress_ratio", labels))
    assert seen == [0.25, 1]
    await world.assignment.close()


@pytest.mark.parametrize(
    ("committed", "position", "begin", "lost"),
    [
        pytest.param(None, 0, 30, 0, id="whoever was never here has lost nothing"),
        pytest.param(40, 40, 40, 0, id="the log begins where it was read to"),
        pytest.param(20, 20, 30, 10, id="ten are gone"),
        pytest.param(20, 25, 30, 5, id="the state had read further than the offset says"),
        pytest.param(None, 25, 30, 5, id="the offset expired"),
    ],
)
def test_records_are_lost_from_where_the_state_ends_to_where_the_log_begins(
    committed: int | None, position: int, begin: int, lost: int
) -> None:
    loading = Loading(0, FakeStage(), position=position, input_begin=begin, input_end=100)
    assert records_lost(loading, committed) == lost


async def test_lost_records_are_counted_when_a_partition_is_loaded() -> None:
    world = World()
    world.committed[0] = 4

    def cut() -> None:
        world.assignment.loadings[0].input_begin = 9

    world.while_loading = cut
    await world.assign(0)
    assert "lost 5" in world.events
    metrics = Metrics("intake")
    Exporter(metrics).note_lost(5)
    assert value(metrics, "pegel_records_lost_total", {"stage": "intake"}) == 5
    await world.assignment.close()


async def test_the_first_failure_is_counted_and_no_other() -> None:
    metrics = Metrics("intake")
    failure = FailStop(Exporter(metrics).note_failure)
    failure.fail(FailReason.FLUSH, ValueError())
    failure.fail(FailReason.STAGE, ValueError())
    counted = {
        reason.value: value(metrics, "pegel_failures_total", {"stage": "intake", "reason": reason.value})
        for reason in FailReason
    }
    assert {reason: count for reason, count in counted.items() if count} == {"flush": 1}


async def test_each_beat_tells_how_late_the_loop_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.runtime.vitals.BEAT_S", 0.0)
    moments = count(step=0.125)
    seen, done = list[float](), asyncio.Event()

    def note(delay_s: float) -> None:
        seen.append(delay_s)
        if len(seen) == 2:
            done.set()

    beating = asyncio.create_task(Vitals(note, lambda: next(moments)).beat())
    await done.wait()
    beating.cancel()
    assert seen[:2] == [0.125, 0.125]


def test_a_batch_that_is_handed_out_is_remembered_until_it_is_applied() -> None:
    made = Made()
    for offset in range(5):
        made.apply(offset)
    assert len(made.partition._under_way_ms) == 0
    made.fetch([5], end=6)
    batch: Batch = made.partition.release()
    assert len(made.partition._under_way_ms) == 1
    made.partition.take(batch)
    assert made.lag() == (0, 0)
