import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.failure import RuntimeFailure
from streams.runtime.partition import BATCHES_UNDER_WAY_MAX, Partition, Standing, Verdict
from tests.unit.runtime.fakes import FakeStage, FakeWriter, batch_of


def partition_at(next_offset: int = 0) -> tuple[Partition, FakeStage]:
    stage = FakeStage()
    partition = Partition(0, stage, FakeWriter())
    partition.next = partition.committed = next_offset
    partition.begin_epoch(1)
    partition.active = True
    return partition, stage


def test_batches_are_applied_in_the_order_of_their_numbers() -> None:
    partition, stage = partition_at()
    first, second = batch_of(partition, 0, 1), batch_of(partition, 2, 5)
    assert partition.take(first) is Verdict.APPLIED
    assert partition.take(second) is Verdict.APPLIED
    assert stage.applied == [0, 1, 2, 5]
    assert partition.next == 6


def test_a_batch_that_was_lost_on_the_way_is_noticed() -> None:
    partition, stage = partition_at()
    batch_of(partition, 0)
    second = batch_of(partition, 1)
    with pytest.raises(RuntimeFailure, match="lost or repeated"):
        partition.take(second)
    assert stage.applied == []


def test_a_batch_that_comes_twice_is_noticed() -> None:
    partition, _ = partition_at()
    batch = batch_of(partition, 0)
    partition.take(batch)
    with pytest.raises(RuntimeFailure, match="lost or repeated"):
        partition.take(batch)


def test_a_batch_of_an_earlier_epoch_is_void() -> None:
    partition, stage = partition_at()
    batch = batch_of(partition, 0)
    partition.begin_epoch(2)
    assert partition.take(batch) is Verdict.STALE
    assert stage.applied == []
    assert partition.under_way == 0


def test_a_partition_that_is_not_active_takes_nothing() -> None:
    partition, stage = partition_at()
    batch = batch_of(partition, 0)
    partition.active = False
    assert partition.take(batch) is Verdict.STALE
    assert stage.applied == []


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(1, 7))
def test_records_below_next_are_skipped_and_the_others_applied_once(offsets: set[int], start: int, size: int) -> None:
    partition, stage = partition_at(start)
    log = sorted(offsets)
    for begin in range(0, len(log), size):
        partition.take(batch_of(partition, *log[begin : begin + size]))
    assert stage.applied == [offset for offset in log if offset >= start]


def test_an_error_in_the_stage_leaves_next_where_it_was() -> None:
    partition, stage = partition_at()
    stage.error = ValueError()
    with pytest.raises(ValueError):  # noqa: PT011 - any would do
        partition.take(batch_of(partition, 0))
    assert partition.next == 0


def test_only_so_many_batches_are_under_way() -> None:
    partition, _ = partition_at()
    for number in range(BATCHES_UNDER_WAY_MAX):
        assert partition.wants_records()
        batch_of(partition, number)
    assert not partition.wants_records()


def test_a_saturated_stage_wants_no_records() -> None:
    partition, stage = partition_at()
    stage.full = True
    assert not partition.wants_records()
    assert partition.held_back


def test_every_fetch_must_begin_where_the_last_one_ended() -> None:
    partition, _ = partition_at(10)
    partition.observe(Standing(10, 25, 40, 1))
    partition.observe(Standing(25, 31, 40, 2))
    with pytest.raises(RuntimeFailure, match="fetch was lost"):
        partition.observe(Standing(33, 40, 40, 3))


def test_a_seek_begins_a_new_chain_of_fetches_at_next() -> None:
    partition, _ = partition_at(10)
    partition.observe(Standing(10, 25, 40, 1))
    partition.begin_epoch(2)
    partition.observe(Standing(10, 12, 40, 2))
    with pytest.raises(RuntimeFailure):
        partition.observe(Standing(25, 40, 40, 3))


def test_caught_up_means_that_the_visible_end_was_read_and_applied() -> None:
    partition, _ = partition_at()
    assert not partition.caught_up(), "nothing is known before the first fetch"
    batch = batch_of(partition, 0, 1)
    partition.observe(Standing(0, 3, 3, 1))  # offset 2 is a transaction marker
    assert partition.lag() == 3
    partition.take(batch)
    assert partition.caught_up()
    partition.observe(Standing(3, 3, 9, 2))
    assert partition.lag() == 6


def test_capture_takes_outputs_changes_and_position_together() -> None:
    partition, stage = partition_at()
    partition.take(batch_of(partition, 4))
    captured = partition.capture()
    assert captured is not None
    assert [output.value for output in captured.outputs] == [b"4"]
    assert captured.changes == [(b"state", b"1")]
    assert captured.position == 5
    assert stage.outputs == []


def test_nothing_new_is_nothing_to_capture() -> None:
    partition, _ = partition_at(5)
    assert partition.capture() is None


def test_a_moved_offset_alone_is_captured() -> None:
    partition, stage = partition_at()
    partition.take(batch_of(partition, 4))
    stage.outputs = []
    captured = partition.capture()
    assert captured is not None
    assert (captured.outputs, captured.changes, captured.position) == ([], [], 5)


@pytest.mark.parametrize("position", [4, 11])
def test_a_position_outside_of_committed_and_applied_is_refused(position: int) -> None:
    partition, stage = partition_at(5)
    partition.next = 10
    stage.hold = position
    with pytest.raises(RuntimeFailure, match="would commit"):
        partition.capture()
