"""One simulated worker: the runtime's own classes, and in place of Faust the order in which Faust calls them.

Theory of operation. Faust's part is small and fixed, and written down here as transport.py and Faust 0.15.3 have it:

    revoked -> flow stops, suspend, queues emptied -> join -> retain -> (recovery:) load -> is the generation still the
    one that was loaded for? -> seek, activate -> flow resumes

Recovery runs one at a time; a newer assignment cuts off a seek, never a load. Fetch, delivery and agent are loops of
their own, joined by a queue. The consumer's thread is a process of its own in the loop's terms: it beats while the
main thread stands still, and dies with it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from streams.runtime.acked import AckedLoader, AckedWriter
from streams.runtime.assignment import Assignment
from streams.runtime.changelog import ChangelogLoader
from streams.runtime.delivery import Delivery
from streams.runtime.failure import FailReason, FailStop
from streams.runtime.flush import Flusher
from streams.runtime.membership import Membership
from streams.runtime.options import KafkaAccess, RuntimeOptions
from streams.runtime.partition import Batch, Partition
from streams.runtime.stage import Stage
from streams.runtime.ticks import tick_for_ever
from streams.runtime.transaction import TransactionalWriter, Writer, WriterFactory
from streams.runtime.vitals import Vitals
from streams.runtime.watchdog import LOOK_S, Vigil, rules_for
from tests.sim.cluster import CHANGELOG, INPUT, OUTPUT, Cluster
from tests.sim.loop import Process, SimLoop
from tests.sim.network import NEVER_LATE
from tests.sim.plan import SESSION_TIMEOUT_S, TRANSACTION_TIMEOUT_S, Plan, Plot
from tests.sim.producer import SimProducer
from tests.sim.readers import GroupMember, SimReader
from tests.sim.stages import CountingStage
from tests.sim.trace import Trace
from tests.sim.verdict import (
    offsets_have_ended,
    positions_have_ended,
    require_at_least_once,
    require_exactly_once,
)

GOODBYE_S: Final = 5.0
SHUTDOWN_S: Final = 8.0
STALL_S: Final = 12.0
SILENCE_S: Final = 40.0
STRAY_RATE: Final = 0.5
"""Of revocations: a batch from before comes to the agent afterwards."""
POLL_S: Final = 0.25
HELD_BACK_POLL_S: Final = 0.05


class Build:
    """What a worker is made of. A deliberate bug is another build."""

    plot: Plot | None = None
    """The only plot to run; otherwise all."""

    def options(self, plan: Plan, worker: str) -> RuntimeOptions:
        return RuntimeOptions(
            kafka=KafkaAccess("sim:9092"),
            group="sim",
            flush_interval_ms=plan.flush_interval_ms,
            session_timeout_ms=int(SESSION_TIMEOUT_S * 1000),
            transaction_timeout_ms=int(TRANSACTION_TIMEOUT_S * 1000),
        )

    def stage(self, partition: int) -> Stage:
        return CountingStage()

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        return TransactionalWriter(options, INPUT, CHANGELOG, partition, [OUTPUT], new_producer)

    def loader(self, options: RuntimeOptions, new_consumer: Callable[..., Any]) -> ChangelogLoader:
        return ChangelogLoader(options, INPUT, CHANGELOG, new_consumer)

    def durability(
        self,
        options: RuntimeOptions,
        group: GroupMember,
        new_producer: Callable[..., Any],
        new_consumer: Callable[..., Any],
    ) -> tuple[WriterFactory, ChangelogLoader]:
        return lambda partition: self.writer(options, partition, new_producer), self.loader(options, new_consumer)

    def is_done(self, cluster: Cluster) -> bool:
        return offsets_have_ended(cluster)

    def verdict(self, cluster: Cluster) -> None:
        require_exactly_once(cluster)

    assignment: type[Assignment] = Assignment
    compacts = True
    """The changelog may be compacted within a run."""
    never_late: frozenset[str] = NEVER_LATE
    """Requests that a broker does not apply after it broke the connection on which they came."""


class AckedBuild(Build):
    """``guarantee: at_least_once``: no transactions."""

    compacts = False  # min.compaction.lag.ms is hours

    def durability(
        self,
        options: RuntimeOptions,
        group: GroupMember,
        new_producer: Callable[..., Any],
        new_consumer: Callable[..., Any],
    ) -> tuple[WriterFactory, ChangelogLoader]:
        writers: dict[int, AckedWriter] = {}
        clock = asyncio.get_running_loop().time

        def new_writer(partition: int) -> AckedWriter:
            writer = writers[partition] = self.acked_writer(
                options, INPUT, CHANGELOG, partition, group, new_producer, clock
            )
            return writer

        return new_writer, AckedLoader(options, INPUT, CHANGELOG, writers.__getitem__, new_consumer)

    def acked_writer(self, *arguments: Any) -> AckedWriter:
        return AckedWriter(*arguments)

    def is_done(self, cluster: Cluster) -> bool:
        return positions_have_ended(cluster)

    def verdict(self, cluster: Cluster) -> None:
        require_at_least_once(cluster)


class Mischief:
    """What is to go wrong between fetch and agent, next."""

    def __init__(self) -> None:
        self.repeat = self.lose = self.swap = 0


class SimWorker:
    """A worker process. ``live`` is its whole life."""

    def __init__(
        self, name: str, loop: SimLoop, cluster: Cluster, plan: Plan, build: Build, trace: Trace, *, is_static: bool
    ) -> None:
        self.name = name
        self.main, self.thread = Process(name), Process(f"{name}/consumer")
        self.thread.on_death = self.main.kill
        self.mischief = Mischief()
        self.exit_reason: FailReason | None = None
        self.bug: BaseException | None = None
        self._loop = loop
        self._trace = trace
        options = build.options(plan, name)
        self._failure = FailStop()
        self._vitals = Vitals()
        flusher = Flusher(options.flush_interval_ms, self._failure, lambda note: None, clock=loop.time)
        membership = Membership(options.session_timeout_ms, options.instance_id, self._failure, clock=loop.time)
        self._member = GroupMember(loop, cluster, name if is_static else None, self, membership)
        new_writer, loader = build.durability(
            options,
            self._member,
            lambda **given: SimProducer(cluster, plan.batch_records_max, **given),
            lambda **given: SimReader(cluster, **given),
        )
        self._assignment = build.assignment(build.stage, new_writer, loader, flusher, self)
        self._delivery = Delivery(self._assignment, clock=loop.time)
        self._apply_s = plan.apply_s
        self._records_max = plan.fetch_records_max
        self._random = cluster.random
        self._flow = asyncio.Event()
        self._terminated = asyncio.Event()
        self._recovery_wanted = asyncio.Event()
        self._recovery_generation = -1
        self._fetching = asyncio.Lock()
        self._queue: deque[Batch] = deque()
        self._queued = asyncio.Event()

    @property
    def running(self) -> bool:
        return self.main.alive

    # -- notes for the metrics -----------------------------------------------------------------------------------------

    def note_revoked(self) -> None:
        self._trace.note(self.name, "revoked")

    def note_restored(self, rows: int, seconds: float) -> None:
        self._trace.note(self.name, "restored", rows)

    def note_lost(self, records: int) -> None:
        assert not records, "no retention here"

    def note_dropped(self, partition: Partition) -> None:
        self._trace.note(self.name, "dropped", partition.number)

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._loop.spawn(self.main, self._live())

    def terminate(self) -> None:
        self._loop.spawn(self.main, self._note_terminated())

    async def _note_terminated(self) -> None:
        self._terminated.set()

    async def _live(self) -> None:
        work = [
            self._loop.spawn(self.thread, self._member.take_part()),
            asyncio.create_task(self._recover_for_ever()),
            asyncio.create_task(self._fetch_for_ever()),
            asyncio.create_task(self._apply_for_ever()),
            asyncio.create_task(tick_for_ever(self._assignment, self._failure)),
            asyncio.create_task(self._vitals.beat()),
            asyncio.create_task(self._watch()),
        ]
        for task in work:
            task.add_done_callback(self._note_end)
        ends = [asyncio.create_task(self._failure.wait()), asyncio.create_task(self._terminated.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._loop.call_later(SHUTDOWN_S, self.main.kill)
        if not self._failure.failed:
            await self._stop(work[0])
        else:
            await self._give_up()
        self.exit_reason = self._failure.reason
        self._trace.note(self.name, "exits", self.exit_reason or "clean")
        self.main.kill()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """Let no loop end in silence: what the runtime raised has been latched, anything else is this driver's bug."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._failure.failed:
            self.bug = error

    async def _stop(self, member: asyncio.Task[None]) -> None:
        try:
            self._flow.clear()
            await self._assignment.suspend()
            await self._member.leave()
            await self._assignment.close()
        except Exception as error:  # noqa: BLE001 - as worker.py has it
            self._failure.fail(FailReason.SHUTDOWN_STUCK, error)

    async def _give_up(self) -> None:
        try:
            await asyncio.wait_for(self._member.leave(), GOODBYE_S)
        except Exception as error:  # noqa: BLE001 - as worker.py has it
            self._trace.note(self.name, "left without a word", type(error).__name__)

    async def _watch(self) -> None:
        vigils = [Vigil(rule) for rule in rules_for(self._assignment, self._vitals, STALL_S, SILENCE_S)]
        while True:
            await asyncio.sleep(LOOK_S)
            for vigil in vigils:
                if vigil.broken():
                    self.exit_reason = vigil.rule.reason
                    self._trace.note(self.name, "ends hard", self.exit_reason)
                    self.main.kill()
                    return

    # -- rebalance, called from the consumer's thread ------------------------------------------------------------------

    async def on_revoked(self) -> None:
        await self._in_main(self._revoke())

    async def on_assigned(self, assigned: frozenset[int], generation: int) -> None:
        await self._in_main(self._assign(assigned, generation))

    async def _in_main(self, work: Any) -> None:
        """Call into the main thread, and wait. What it raises has been noted there; the client only logs it."""
        await asyncio.wait([self._loop.spawn(self.main, work)])

    async def _revoke(self) -> None:
        self._flow.clear()
        try:
            await self._assignment.suspend()
        except Exception as error:
            self._failure.fail(FailReason.ASSIGNMENT, error)
            raise
        # Faust empties its queues too, but whoever waited at their door comes in later.
        late = self._queue.pop() if self._queue and self._random.random() < STRAY_RATE else None
        self._queue.clear()
        if late is not None:
            self._queue.append(late)
            self._queued.set()

    async def _assign(self, assigned: frozenset[int], generation: int) -> None:
        try:
            await self._assignment.retain(assigned)
        except Exception as error:
            self._failure.fail(FailReason.ASSIGNMENT, error)
            raise
        if generation == self._member.generation:
            self._recovery_generation = generation
            self._recovery_wanted.set()

    async def _recover_for_ever(self) -> None:
        while True:
            await self._recovery_wanted.wait()
            self._recovery_wanted.clear()
            generation = self._recovery_generation
            try:
                await self._load()
            except Exception as error:  # noqa: BLE001 - as faust_app.py has it
                self._failure.fail(FailReason.ASSIGNMENT, error)
                return
            if self._member.generation != generation:
                continue
            if self._member.assigned and not await self._unless_reassigned(self._seek()):
                continue
            self._flow.set()

    async def _load(self) -> None:
        numbers = self._member.assigned & self._assignment.assigned
        await self._assignment.load(numbers, self._member.committed)

    async def _seek(self) -> None:
        assignment = self._assignment
        async with self._fetching:
            targets = assignment.restart_delivery()
            epoch = assignment.epoch
            await self._member.seek(targets)
            if assignment.epoch == epoch:
                assignment.activate(targets)

    async def _unless_reassigned(self, work: Any) -> bool:
        doing, wanted = asyncio.create_task(work), asyncio.create_task(self._recovery_wanted.wait())
        await asyncio.wait([doing, wanted], return_when=asyncio.FIRST_COMPLETED)
        reassigned = wanted.done()
        doing.cancel()
        wanted.cancel()
        return not reassigned

    # -- records -------------------------------------------------------------------------------------------------------

    async def _fetch_for_ever(self) -> None:
        delivery = self._delivery
        while True:
            if not self._flow.is_set():
                await self._flow.wait()
            active = self._assignment.active()
            wanted = [one.number for one in active if one.wants_records()]
            hurry = delivery.waits_for_commit or delivery.ready()
            if wanted:
                everybody = len(wanted) == len(active)
                await self._fetch(wanted, 0.0 if hurry else POLL_S if everybody else HELD_BACK_POLL_S)
            else:
                self._vitals.polled()
                if not hurry:
                    await asyncio.sleep(HELD_BACK_POLL_S)
            for batch in delivery.release():
                self._hand_on(batch)
            await delivery.make_way()
            await asyncio.sleep(0)

    async def _fetch(self, wanted: list[int], wait_s: float) -> None:
        assignment = self._assignment
        epoch = assignment.epoch
        try:
            async with self._fetching:
                found, standings = await self._member.fetch(wanted, self._records_max, wait_s)
            if not self._flow.is_set() or assignment.epoch != epoch:
                return
            self._vitals.polled()
            for number, standing in standings.items():
                if (partition := assignment.get(number)) is not None and partition.active:
                    partition.observe(standing)
            for number, records in found.items():
                partition = assignment.get(number)
                assert partition is not None
                partition.hold(records, int(self._loop.now_s * 1000))
        except Exception as error:
            self._failure.fail(FailReason.FETCH, error)
            raise

    def _hand_on(self, batch: Batch) -> None:
        """Put a batch into the agent's queue: among those of other partitions anywhere, unless mischief is up."""
        mischief, queue = self.mischief, self._queue
        if mischief.lose:
            mischief.lose -= 1
            self._trace.note(self.name, "loses a batch", batch.partition)
            return
        same = [place for place, one in enumerate(queue) if one.partition == batch.partition]
        first = same[-1] + 1 if same else 0
        if mischief.swap and same:
            mischief.swap -= 1
            first = same[0]
            self._trace.note(self.name, "swaps batches", batch.partition)
            queue.insert(first, batch)
        else:
            queue.insert(self._random.randint(first, len(queue)), batch)
        if mischief.repeat:
            mischief.repeat -= 1
            self._trace.note(self.name, "repeats a batch", batch.partition)
            queue.append(batch)
        self._queued.set()

    async def _apply_for_ever(self) -> None:
        while True:
            await self._queued.wait()
            await self._flow.wait()
            self._queued.clear()
            while self._queue:
                self._apply(self._queue.popleft())
                await asyncio.sleep(self._apply_s)

    def _apply(self, batch: Batch) -> None:
        if self._failure.failed:
            return
        try:
            partition = self._assignment.get(batch.partition)
            if partition is not None:
                partition.take(batch)
        except Exception as error:  # noqa: BLE001 - as faust_app.py has it
            self._failure.fail(FailReason.STAGE, error)
