"""The collector's switches belong to the process: each test puts them back."""

import ctypes
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.runtime import memory
from tests.unit.runtime.fakes import FakeWriter
from tests.unit.runtime.world import World


class Knot:
    """Refers to itself: only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_is_garbage_when_the_rest_is_taken_for_long_lived_is_collected() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    memory.settle()
    assert gone() is None


def test_what_was_taken_for_long_lived_and_became_garbage_is_collected_the_next_time() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    memory.settle()
    del knot
    gc.collect()
    assert gone() is not None, "it is out of the collector's sight; else this test shows nothing"
    memory.settle()
    assert gone() is None


def test_what_a_command_loads_is_out_of_the_collectors_sight_and_the_rest_is_collected() -> None:
    with memory.loading():
        assert not gc.isenabled()
        lives = Knot()
    assert gc.isenabled()
    assert not any(one is lives for one in gc.get_objects())
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    gc.collect()
    assert gone() is None


def test_a_command_that_cannot_load_collects_all_the_same() -> None:
    with pytest.raises(ValueError, match="no"), memory.loading():
        raise ValueError("no")
    assert gc.isenabled()


def test_what_lives_is_out_of_the_collectors_sight() -> None:
    lives = Knot()
    memory.settle()
    assert not any(one is lives for one in gc.get_objects())
    assert gc.get_freeze_count() > 0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library gives nothing back on demand")
def test_what_was_needed_for_a_moment_is_given_back_to_the_system() -> None:
    block_bytes, count = 100_000, 500
    blocks = [b"x" * block_bytes for _ in range(count)]
    above = blocks.pop()  # what lies above freed memory keeps the C library from giving it back by itself
    full = resident_bytes()
    del blocks
    memory.settle()
    assert full - resident_bytes() > count * block_bytes * 0.8
    assert above


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))


async def test_a_partition_that_is_given_away_leaves_nothing_in_memory() -> None:
    class KnottedWriter(FakeWriter):
        """As real ones are: producers, connections and their tasks refer to each other."""

        def __init__(self, events: list[str]) -> None:
            super().__init__(events)
            self.knot = Knot()

    world = World()
    gone: list[weakref.ref[Knot]] = []

    def new_writer(_: int) -> KnottedWriter:
        writer = KnottedWriter(world.events)
        gone.append(weakref.ref(writer.knot))
        return writer

    world.assignment._new_writer = new_writer
    await world.assign(0, 1)
    await world.assign(0)
    kept, left = gone
    assert kept() is not None
    assert left() is None
    await world.assignment.close()
