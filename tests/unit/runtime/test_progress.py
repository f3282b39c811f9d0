import time

import pytest

from streams.runtime.changelog import Loading
from streams.runtime.failure import FailStop
from streams.runtime.health import readiness
from streams.runtime.progress import progress
from tests.unit.runtime.fakes import FakeStage
from tests.unit.runtime.world import World


def load(partition: int, read_to: int, end: int, rows: int) -> Loading:
    return Loading(partition, FakeStage(), read_to=read_to, end=end, rows=rows)


def test_progress_is_over_all_partitions_of_a_load() -> None:
    made = progress([load(0, 100, 100, 90), load(1, 0, 300, 0)], elapsed_s=2.0)
    assert (made.rows, made.percent, made.seconds_left) == (90, 25.0, 6.0)
    assert str(made) == "90 rows, 25 %, about 6 s left"


def test_before_anything_was_read_nothing_is_said_of_the_time_left() -> None:
    assert progress([load(0, 0, 100, 0)], 5.0).seconds_left is None
    assert progress([], 5.0).percent == 0.0


def test_what_was_read_beyond_the_end_as_it_was_is_no_more_than_all() -> None:
    assert progress([load(0, 120, 100, 120)], 1.0).percent == 100.0


async def test_readiness_shows_each_partition_and_the_whole_of_a_load() -> None:
    world = World()
    world.assignment.loadings = [load(0, 50, 100, 40), load(1, 100, 100, 100)]
    world.assignment.loading_since = time.monotonic() - 3.0
    ready, page = readiness("engagement", world.assignment, FailStop())
    assert not ready
    assert page["partitions"][0] == {
        "partition": 0, "state": "loading", "rows": 40, "offset": 50, "end": 100, "percent": 50.0,
    }  # fmt: skip
    assert page["loading"] == {"rows": 140, "percent": 75.0, "seconds_left": pytest.approx(1, abs=1)}


async def test_a_worker_that_loads_nothing_says_so() -> None:
    world = World()
    await world.assign(0)
    assert readiness("engagement", world.assignment, FailStop())[1]["loading"] is None
