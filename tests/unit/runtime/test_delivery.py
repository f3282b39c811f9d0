"""Which of the fetched records go on, over partitions of an assignment."""

from streams.runtime.alignment import IDLE_S, PATIENCE_S, Alignment
from streams.runtime.delivery import Delivery
from streams.runtime.partition import Batch, Partition, Standing
from tests.unit.runtime.fakes import FakeRecord
from tests.unit.runtime.world import World

NOW_MS = 10**12
END = 1_000


class Line:
    """A delivery over aligned partitions, whose clock is turned by hand."""

    def __init__(self, world: World, alignment: Alignment | None) -> None:
        self.world, self.now_s = world, 0.0
        world.assignment.alignment = alignment
        self.delivery = Delivery(world.assignment, lambda: self.now_s, lambda: NOW_MS)

    def partition(self, number: int) -> Partition:
        found = self.world.assignment.get(number)
        assert found is not None
        return found

    def fetched(self, number: int, begin: int, *arrivals_ms: int, end: int = END) -> None:
        partition = self.partition(number)
        reached = begin + len(arrivals_ms)
        partition.observe(Standing(begin, reached, end, 1))
        if arrivals_ms:
            rows = [FakeRecord(offset, timestamp=arrival) for offset, arrival in enumerate(arrivals_ms, begin)]
            partition.hold(rows, NOW_MS)

    def released(self) -> list[tuple[int, list[int]]]:
        return [(batch.partition, [record.offset for record in batch.records]) for batch in self.delivery.release()]

    def apply(self) -> list[tuple[int, list[int]]]:
        """Release and apply."""
        batches: list[Batch] = list(self.delivery.release())
        for batch in batches:
            self.partition(batch.partition).take(batch)
        return [(batch.partition, [record.offset for record in batch.records]) for batch in batches]


HUNDRED_MS = Alignment(100)


async def line(*numbers: int, alignment: Alignment | None = HUNDRED_MS) -> Line:
    world = World()
    await world.assign(*numbers)
    return Line(world, alignment)


async def test_a_batch_is_cut_where_it_gets_too_far_ahead_and_goes_on_when_the_others_have_committed() -> None:
    one = await line(0, 1)
    one.fetched(0, 0, 10, 20, 500)
    one.fetched(1, 0, 15, 510)
    assert one.apply() == [(0, [0, 1]), (1, [0])]
    assert one.delivery.waits_for_commit
    await one.delivery.make_way()
    assert [writer.committed[-1].position for writer in one.world.writers.values()] == [2, 1]
    assert one.apply() == [(0, [2]), (1, [1])]


async def test_nothing_is_flushed_before_it_is_applied() -> None:
    one = await line(0, 1)
    one.fetched(0, 0, 10, 500)
    one.fetched(1, 0, 15, 510)
    assert one.released() == [(0, [0]), (1, [0])]
    await one.delivery.make_way()
    assert [writer.committed for writer in one.world.writers.values()] == [[], []]


async def test_a_stage_without_alignment_gets_everything_at_once() -> None:
    one = await line(0, 1, alignment=None)
    one.fetched(0, 0, 10, 10_000)
    one.fetched(1, 0, 5)
    assert sorted(one.released()) == [(0, [0, 1]), (1, [0])]
    assert not one.partition(0).wants_records() or one.partition(0).has_room()


async def test_a_partition_that_holds_records_wants_no_more_and_alarms_nobody() -> None:
    one = await line(0, 1)
    one.fetched(0, 0, 500)
    one.fetched(1, 0, 10)
    assert one.released() == [(1, [0])]
    ahead = one.partition(0)
    assert not ahead.wants_records()
    assert ahead.held_back
    assert ahead.lag() == END, "what is on the shelf was not applied"


async def test_nobody_goes_on_before_every_partition_was_heard_but_not_for_ever() -> None:
    one = await line(0, 1)
    one.fetched(0, 0, 10, 20)
    assert one.released() == []
    one.now_s += PATIENCE_S
    assert one.released() == [(0, [0, 1])]
    assert one.partition(1).times_overlooked == 1
    assert one.released() == []
    assert one.partition(1).times_overlooked == 1, "counted once"


async def test_a_partition_at_its_end_holds_nobody_back_who_reads_the_present() -> None:
    one = await line(0, 1)
    one.fetched(1, 0, end=0)
    one.fetched(0, 0, NOW_MS - 1_000, NOW_MS)
    assert one.released() == [(0, [0, 1])]


async def test_history_waits_a_little_for_a_partition_that_may_get_its_share_yet() -> None:
    one = await line(0, 1)
    one.fetched(1, 0, end=0)
    one.now_s += 3_600
    one.fetched(0, 0, 10, 10_000)
    assert one.released() == []
    one.now_s += IDLE_S / 2
    assert one.released() == []
    one.now_s += IDLE_S / 2
    assert one.released() == [(0, [0, 1])]


async def test_a_rebalance_empties_the_shelves() -> None:
    one = await line(0, 1)
    one.fetched(0, 0, 10, 500)
    one.fetched(1, 0, 10)
    await one.world.assignment.suspend()
    assert one.released() == []
    await one.world.assign(0, 1)
    assert one.released() == []
    assert one.partition(0).records_held == 0
