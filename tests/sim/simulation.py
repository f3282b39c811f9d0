"""One run: a seed becomes a plan, a world that follows it, rest, and a verdict."""

import logging
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from streams.runtime import acked, assignment, changelog, memory, ticks, transaction
from streams.runtime.partitioner import partition_of
from tests.sim.cluster import CHANGELOG, INPUT, Cluster
from tests.sim.driver import Build, SimWorker
from tests.sim.group import Group
from tests.sim.log import NewRecord
from tests.sim.loop import OutOfSteps, SimLoop
from tests.sim.network import Network
from tests.sim.plan import (
    FAULTS_UNTIL_S,
    REBALANCE_TIMEOUT_S,
    SESSION_TIMEOUT_S,
    Fault,
    FaultKind,
    Plan,
    plan,
)
from tests.sim.trace import Trace
from tests.sim.verdict import Violation, Witness

STEPS_MAX: Final = 400_000
CALM_AFTER_S: Final = FAULTS_UNTIL_S + 1.0
REST_WITHIN_S: Final = 120.0
LOOK_S: Final = 0.25
ABORTED_RATE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    violation: str | None
    trace: Trace
    commits: int
    exits: "Counter[str]"
    steps: int
    ended_s: float
    is_excused: bool
    """It ended early, without a verdict: two faults met within milliseconds against which nothing helps."""


class Run:
    """One seed's world."""

    def __init__(self, seed: int, build: Build, given: Plan | None = None) -> None:
        self.seed = seed
        self._build = build
        self.random = random = Random(seed)
        drawn = plan(random, build.plot)
        self.plan: Plan = given or drawn
        self.loop = SimLoop(STEPS_MAX)  # type: ignore[abstract]  # nobody asks it for sockets
        self.trace = Trace(lambda: round(self.loop.now_s, 6))
        network = Network(self.loop, random, self.plan.weather, self.trace)
        group = Group(self.loop, self.plan.partitions, SESSION_TIMEOUT_S, REBALANCE_TIMEOUT_S, self._note_generation)
        network.never_late = build.never_late
        self.network = network
        self.cluster = Cluster(self.loop, network, group, random, self.plan.partitions)
        self.witness = Witness()
        self.cluster.transactions.on_commit = self._on_commit
        self.cluster.transactions.on_init = self.witness.on_init
        self.cluster.transactions.on_double_fault = self._excuse
        self._is_excused = False
        self.workers: list[SimWorker] = []
        self.exits: Counter[str] = Counter()
        self._started = 0
        self._violation: str | None = None

    def run(self) -> Outcome:
        self._schedule()
        with _virtual_clock(self.loop):
            try:
                self.loop.run_until_stopped()
                if self._violation is None and not self._is_excused:
                    self._build.verdict(self.cluster)
            except (Violation, OutOfSteps) as error:
                self._violation = str(error)
            finally:
                self.loop.close()
        return Outcome(
            self.seed,
            self._violation,
            self.trace,
            self.witness.commits + self.cluster.group.commits,
            self.exits,
            self.loop.steps,
            self.loop.now_s,
            self._is_excused,
        )

    # -- the plan becomes events ---------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        loop, random = self.loop, self.random
        for number in range(self.plan.workers):
            loop.later(random.random() * 0.5, self._start, f"w{number}")
        for at_s in self.plan.arrivals_s:
            loop.later(at_s, self._produce, b"k%d" % random.randrange(self.plan.keys))
        for fault in self.plan.faults:
            loop.later(fault.at_s, self._strike, fault)
        loop.later(CALM_AFTER_S, self._calm)

    def _produce(self, key: bytes) -> None:
        log = self.cluster.logs[INPUT, partition_of(key, self.plan.partitions)]
        record = NewRecord(key, b"event")
        fate = self.random.random()
        if fate > 3 * ABORTED_RATE:
            log.append([record])
            return
        # A stage upstream writes in transactions: markers take offsets, and some are aborted.
        producer = -1 - log.end
        log.append([record], producer)
        self.loop.later(self.random.random() * 0.3, self._end_upstream, log, producer, fate > ABORTED_RATE)

    def _end_upstream(self, log: Any, producer: int, committed: bool) -> None:  # noqa: FBT001 - as the loop calls it
        log.mark(producer, 0, committed=committed)

    def _start(self, name: str) -> None:
        self.trace.note(name, "starts")
        worker = SimWorker(
            name, self.loop, self.cluster, self.plan, self._build, self.trace, is_static=self.plan.are_static
        )
        self.workers = [one for one in self.workers if one.running] + [worker]
        worker.main.on_death = lambda: self._on_death(worker)
        worker.start()

    def _on_death(self, worker: SimWorker) -> None:
        worker.thread.kill()
        self.exits[worker.exit_reason or "gone"] += 1
        self.trace.note(worker.name, "is gone")
        self.loop.later(self.plan.restart_s, self._start, worker.name)

    def _note_generation(self, generation: int, dealt: dict[str, list[int]]) -> None:
        self.trace.note("generation", generation, sorted(dealt.items()))

    def _on_commit(self, decided: Any) -> None:
        try:
            self.witness.on_commit(decided)
        except Violation as violation:
            self._violation = str(violation)
            self.loop.stop()

    def _excuse(self) -> None:
        self._is_excused = True
        self.loop.stop()

    # -- faults --------------------------------------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> None:
        self.trace.note("fault", fault.kind, fault.target, fault.steps, round(fault.lasts_s, 3))
        running = [worker for worker in self.workers if worker.running]
        kind = fault.kind
        if kind is FaultKind.MOVE:
            self.cluster.move_coordinators(fault.lasts_s / 2)
        elif kind is FaultKind.REFUSE:
            self.cluster.refusals += 1
        elif kind is FaultKind.FORGET:
            self.cluster.transactions.forgets += 1
        elif kind is FaultKind.COMPACT:
            if self._build.compacts:
                self.cluster.logs[CHANGELOG, fault.target % self.plan.partitions].compact()
        elif kind is FaultKind.JOIN:
            self._start(f"w{self.plan.workers + fault.target}")
        elif running:
            self._strike_worker(fault, running[fault.target % len(running)])

    def _strike_worker(self, fault: Fault, worker: SimWorker) -> None:
        match fault.kind:
            case FaultKind.KILL:
                worker.main.steps_left = fault.steps
            case FaultKind.FREEZE:
                self._freeze(worker, fault.lasts_s, with_thread=True)
            case FaultKind.STALL:
                self._freeze(worker, fault.lasts_s, with_thread=False)
            case FaultKind.TERMINATE:
                worker.terminate()
            case FaultKind.REPEAT:
                worker.mischief.repeat += 1
            case FaultKind.LOSE:
                worker.mischief.lose += 1
            case FaultKind.SWAP:
                worker.mischief.swap += 1

    def _freeze(self, worker: SimWorker, lasts_s: float, *, with_thread: bool) -> None:
        for process in (worker.main, worker.thread) if with_thread else (worker.main,):
            if not process.frozen:
                process.frozen = True
                self.loop.later(lasts_s, self.loop.thaw, process)

    # -- rest ----------------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        self.network.is_calm = True
        self.cluster.transactions.forgets = 0
        self.trace.note("calm")
        self._look()

    def _look(self) -> None:
        for worker in self.workers:
            if worker.bug is not None:
                raise worker.bug
        if self._build.is_done(self.cluster):
            self.loop.stop()
        elif self.loop.now_s > CALM_AFTER_S + REST_WITHIN_S:
            self._violation = (
                f"not done {REST_WITHIN_S:.0f} s after the last fault: {dict(self.cluster.group.committed)}"
            )
            self.loop.stop()
        else:
            self.loop.later(LOOK_S, self._look)


@contextmanager
def _virtual_clock(loop: SimLoop) -> Iterator[None]:
    """Give the runtime's modules the loop's time, and keep the collector's switches still."""
    clock = types.SimpleNamespace(time=lambda: 1_700_000_000 + loop.now_s, monotonic=loop.time)
    modules: tuple[Any, ...] = (acked, assignment, changelog, ticks, transaction)
    settle: Callable[[], None] = memory.settle
    before = [module.time for module in modules]
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    for module in modules:
        module.time = clock
    memory.settle = _nothing
    try:
        yield
    finally:
        for module, time in zip(modules, before, strict=True):
            module.time = time
        memory.settle = settle
        logging.disable(disabled)


def _nothing() -> None:
    """Leave the collector to whoever runs many runs."""


def run(seed: int, build: Build | None = None) -> Outcome:
    return Run(seed, build or Build()).run()
