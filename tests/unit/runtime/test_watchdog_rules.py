"""Each rule over the real assignment and partitions: broken by what it is for, by nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.runtime.failure import FailReason
from streams.runtime.partition import Partition, Standing
from streams.runtime.vitals import Vitals
from streams.runtime.watchdog import Vigil, rules_for
from tests.unit.runtime.world import World

STALL_LOOKS, SILENCE_LOOKS = 3, 6


class Bench:
    """A worker with one partition at work, everything of which moves but what a test holds still."""

    def __init__(self) -> None:
        self.world = World()
        self.vitals = Vitals()
        self.held: set[str] = set()
        self.read_to = 0

    @property
    def partition(self) -> Partition:
        partition = self.world.assignment.get(0)
        assert partition is not None
        return partition

    def move(self) -> None:
        """One second of a worker's life."""
        if "loop" not in self.held:
            self.vitals.beats += 1
        if "poll" not in self.held:
            self.vitals.polled()
        if "broker" not in self.held and self.world.assignment.get(0) is not None:
            self.read_to += 1
            self.partition.observe(Standing(self.read_to - 1, self.read_to, self.read_to + 5, self.read_to))
            if "stage" not in self.held:
                self.world.apply(0, self.read_to - 1)

    def broken(self, looks: int) -> dict[FailReason, int]:
        """Which rules break within so many looks, and at which."""
        vigils = [Vigil(rule) for rule in rules_for(self.world.assignment, self.vitals, STALL_LOOKS, SILENCE_LOOKS)]
        found: dict[FailReason, int] = {}
        for look in range(1, looks + 1):
            for vigil in vigils:
                if vigil.broken():
                    found.setdefault(vigil.rule.reason, look)
            self.move()
        return found


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.world.assign(0)
    yield made
    made.partition.active = False
    await made.world.assignment.close()


async def test_a_worker_that_works_breaks_no_rule(bench: Bench) -> None:
    assert bench.broken(20) == {}


@pytest.mark.parametrize(
    ("held", "reason", "looks"),
    [
        ("loop", FailReason.LOOP_STALLED, STALL_LOOKS),
        ("poll", FailReason.POLL_STALLED, STALL_LOOKS),
        ("stage", FailReason.NO_PROGRESS, STALL_LOOKS),
        ("broker", FailReason.BROKER_SILENT, SILENCE_LOOKS),
    ],
)
async def test_what_stands_still_breaks_its_rule_and_no_other(
    bench: Bench, held: str, reason: FailReason, looks: int
) -> None:
    bench.broken(2)
    if held == "broker":  # all that it said has been applied
        bench.partition.observe(Standing(bench.read_to, bench.read_to, bench.read_to, bench.read_to))
    bench.held = {held}
    found = bench.broken(looks + 5)
    assert list(found) == [reason]
    assert looks < found[reason] <= looks + 2


async def test_a_commit_that_hangs_breaks_its_rule_and_no_other(bench: Bench) -> None:
    bench.world.writers[0].gate = asyncio.Event()
    bench.move()
    flushing = asyncio.create_task(bench.world.flusher.flush_all([bench.partition]))
    await asyncio.sleep(0.01)
    assert list(bench.broken(STALL_LOOKS + 3)) == [FailReason.COMMIT_STUCK]
    bench.world.writers[0].gate.set()
    await flushing
    assert bench.broken(STALL_LOOKS + 3) == {}


async def test_a_partition_that_is_held_back_has_leave_to_stand_still(bench: Bench) -> None:
    bench.broken(2)
    bench.world.stages[0].full = True
    assert not bench.partition.wants_records()
    bench.held = {"stage", "broker"}
    assert bench.broken(SILENCE_LOOKS + 5) == {}


@pytest.mark.parametrize("step", ["suspend", "load"])
async def test_a_rebalance_that_does_not_end_breaks_its_rule_and_no_other(bench: Bench, step: str) -> None:
    assignment = bench.world.assignment
    gate = asyncio.Event()

    async def load(*_: object) -> None:
        await gate.wait()

    bench.world.load = load  # type: ignore[assignment,method-assign]
    rebalance = assignment.suspend() if step == "suspend" else bench.world.assign(0, 1)
    going_on = asyncio.create_task(rebalance)
    await asyncio.sleep(0.01)
    bench.held = {"broker"}
    assert bench.broken(SILENCE_LOOKS + 3) == {FailReason.REBALANCE_STUCK: SILENCE_LOOKS + 1}
    gate.set()
    await going_on
