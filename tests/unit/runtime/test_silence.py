"""Silence is what a partition that is asked for hears; whoever is not asked for is not silent."""

from streams.metric_registry import Metrics
from streams.runtime.export import Exporter
from streams.runtime.partition import Partition
from streams.runtime.silence import Silence
from tests.unit.runtime.fakes import FakeStage, FakeWriter
from tests.unit.runtime.test_metrics import shown
from tests.unit.runtime.world import World


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def partition_of(number: int) -> Partition:
    partition = Partition(number, FakeStage(), FakeWriter())
    partition.active = True
    return partition


def test_the_partition_that_waits_longest_counts_and_an_answer_ends_its_wait() -> None:
    clock = Clock()
    silence, near, far = Silence(clock), partition_of(0), partition_of(1)
    seen = []
    for near.heard_at, far.heard_at in ((1, 1), (2, 1), (2, 1), (2, 2), (2, 2)):
        seen.append(silence.longest_s([near, far]))
        clock.now_s += 10

    assert seen == [0, 10, 20, 20, 30]


def test_who_never_heard_a_thing_waits_from_the_moment_on_in_which_it_was_asked_for() -> None:
    clock = Clock()
    silence, partition = Silence(clock), partition_of(0)
    partition.active = False
    assert silence.longest_s([partition]) == 0
    clock.now_s += 500
    partition.active = True
    assert silence.longest_s([partition]) == 0
    clock.now_s += 7
    assert silence.longest_s([partition]) == 7


def test_what_is_not_asked_for_owes_no_answer() -> None:
    clock = Clock()
    silence, partition = Silence(clock), partition_of(0)
    silence.longest_s([partition])
    clock.now_s += 60
    partition.saturated = True
    assert silence.longest_s([partition]) == 0
    partition.saturated = False
    assert silence.longest_s([partition]) == 0
    assert silence.longest_s([]) == 0


async def test_a_worker_shows_it() -> None:
    metrics, clock, world = Metrics("engagement"), Clock(), World()
    exporter = Exporter(metrics, silence=Silence(clock))
    await world.assign(0, 1)
    exporter.export(world.assignment)
    clock.now_s += 42
    exporter.export(world.assignment)
    assert shown(metrics)['pegel_broker_silence_seconds{stage="engagement"}'] == 42
    await world.assignment.close()
