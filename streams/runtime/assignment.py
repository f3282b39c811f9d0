"""Which partitions a worker holds, and the strict order in which it takes and gives them.

Theory of operation. A rebalance comes in three calls; Faust stops the flow of records before the first and resumes it
after the last:

``suspend``   partitions are being revoked. Batches under way are void from here on (a new epoch). Everything applied
              is flushed. The partitions stay in memory, idle: most come back.
``retain``    the new assignment is known. What did not come back is dropped: stage closed, producer stopped.
``load``      for each partition that is new here, strictly: start its producer (fences the last owner and ends what
              it left open) -> read the changelog to its end -> repair it, without transactions -> read the
              committed offset. Then, if the group has not moved on meanwhile, the partitions are ready and the
              consumer seeks to where each stands. Only after the seek does ``activate`` let records, ticks and flushes
              come.

A partition that comes back keeps state and producer. Had somebody else owned it in between, they would have fenced our
producer, and the next flush would end this process; but the committed offset shows it earlier, and cheaply: if it is
not what we committed last, the partition is loaded anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Final, Protocol

from streams import log_events
from streams.runtime import memory
from streams.runtime.alignment import Alignment
from streams.runtime.changelog import ChangelogLoader, Loading, Superseded
from streams.runtime.failure import RuntimeFailure
from streams.runtime.flush import Flusher
from streams.runtime.partition import Partition
from streams.runtime.stage import Settling, StageFactory
from streams.runtime.transaction import WriterFactory

CLOSE_S: Final = 5.0
"""A producer that cannot say goodbye in time is left alone: its id is fenced by the next owner anyway."""

ReadCommitted = Callable[[Collection[int]], Awaitable[Mapping[int, int | None]]]


class Notes(Protocol):
    """Who wants to know, for the metrics."""

    def note_revoked(self) -> None: ...
    def note_restored(self, rows: int, seconds: float) -> None: ...
    def note_lost(self, records: int) -> None: ...
    def note_dropped(self, partition: Partition) -> None: ...


class Assignment:
    """The partitions of one worker. Lives in the event loop's thread."""

    def __init__(
        self,
        factory: StageFactory,
        writer_factory: WriterFactory,
        loader: ChangelogLoader,
        flusher: Flusher,
        notes: Notes,
        alignment: Alignment | None = None,
    ) -> None:
        self._factory = factory
        self._new_writer = writer_factory
        self._loader = loader
        self._flusher = flusher
        self._notes = notes
        self.alignment = alignment
        self._held: dict[int, Partition] = {}
        self.epoch = 0
        self.assigned: frozenset[int] = frozenset()
        self.settled = False
        """Took part in an assignment that is complete: nothing is being revoked, loaded or sought."""
        self.unsettled_since = time.monotonic()
        self.loadings: list[Loading] = []
        self.loading_since = 0.0
        self._fencing = asyncio.Lock()

    def __iter__(self) -> Iterator[Partition]:
        return iter(tuple(self._held.values()))

    def get(self, number: int) -> Partition | None:
        return self._held.get(number)

    def active(self) -> list[Partition]:
        return [partition for partition in self._held.values() if partition.active]

    async def flush_moved(self) -> bool:
        """Flush what was applied, at once; say whether there was anything."""
        moved = [partition for partition in self.active() if partition.moved()]
        await self._flusher.flush_all(moved)
        return bool(moved)

    # -- rebalance ---------------------------------------------------------------------------------------------------

    async def suspend(self) -> None:
        """Make batches under way void, flush what was applied, and hold still."""
        self._unsettle()
        self._notes.note_revoked()
        active = self.active()
        for partition in active:
            partition.active = False
        self._new_epoch()
        # A fence that came after the next owner's own would end the next owner, and so would rows that are written
        # beside the next owner's where nothing fences: the group waits until ours are done.
        async with self._fencing:
            await asyncio.gather(*(one.stage.settle() for one in active if isinstance(one.stage, Settling)))
            await self._flusher.flush_all(active)

    async def retain(self, assigned: Collection[int]) -> None:
        """Drop every partition that is not assigned any more."""
        self.assigned = frozenset(assigned)
        gone = [number for number in sorted(self._held) if number not in self.assigned]
        if await self._drop([self._held[number] for number in gone]):
            log_events.GIVEN_UP.tell(partitions=gone)
            memory.settle()  # nothing here refers to them any more

    async def load(self, numbers: Collection[int], read_committed: ReadCommitted) -> bool:
        """Make the assigned partitions ready to be sought; ``False`` if a newer assignment overtook this."""
        epoch = self.epoch
        kept = [partition for number in numbers if (partition := self._held.get(number)) is not None]
        offsets = await read_committed([partition.number for partition in kept])
        stale = [partition for partition in kept if (offsets[partition.number] or 0) != partition.committed]
        for partition in stale:
            log_events.LOADED_ANEW.tell(partition=partition.number)
        await self._drop(stale)
        fresh = [
            Partition(number, self._factory(number), self._new_writer(number))
            for number in sorted(numbers)
            if number not in self._held
        ]
        try:
            await self._make_ready(fresh, read_committed, lambda: self.epoch == epoch)
        except BaseException as error:  # a stop of the worker cancels a load
            await asyncio.gather(*(self._close(partition) for partition in fresh))
            if not isinstance(error, Superseded):
                raise
            log_events.LOADING_OVERTAKEN.tell()
            return False
        finally:
            self.loadings = []
        self._held |= {partition.number: partition for partition in fresh}
        # With more workers than partitions some have none. Faust seeks nothing for them, so nothing activates them.
        self.settled = not self.assigned
        return True

    async def _make_ready(
        self, fresh: list[Partition], read_committed: ReadCommitted, is_current: Callable[[], bool]
    ) -> None:
        if fresh:
            log_events.LOADING.tell(partitions=[partition.number for partition in fresh])
            started = self.loading_since = time.monotonic()
            self.loadings = [Loading(one.number, one.stage) for one in fresh]
            async with self._fencing:
                if not is_current():
                    raise Superseded
                await asyncio.gather(*(partition.writer.start() for partition in fresh))
            await self._loader.load(self.loadings, is_current)
            async with self._fencing:
                await self._loader.repair(self.loadings, is_current)
            offsets = await read_committed([partition.number for partition in fresh])
            for partition, loading in zip(fresh, self.loadings, strict=True):
                committed = offsets[partition.number]
                partition.next = start_offset(loading, committed)
                partition.committed = committed or 0
                self._notes.note_lost(records_lost(loading, committed))
            seconds, rows = time.monotonic() - started, sum(loading.rows for loading in self.loadings)
            log_events.LOADED.tell(partitions=len(fresh), rows=rows, seconds=round(seconds, 3))
            self._notes.note_restored(rows, seconds)
            memory.settle()
        if not is_current():
            raise Superseded

    def restart_delivery(self) -> dict[int, int]:
        """Begin a new chain of batches; return where to seek, by partition."""
        self._new_epoch()
        return {number: self._held[number].next for number in self.assigned if number in self._held}

    def activate(self, numbers: Collection[int]) -> None:
        """Let records, ticks and flushes come: the consumer stands where the partitions stand."""
        for number in numbers:
            partition = self._held[number]
            partition.active = True
            partition.work.set()
            self._flusher.watch(partition)
        self.settled = self.assigned <= self._held.keys()
        if self.settled:
            log_events.READY.tell(partitions=sorted(self.assigned))

    def _unsettle(self) -> None:
        if self.settled:
            self.unsettled_since = time.monotonic()
        self.settled = False

    def _new_epoch(self) -> None:
        self.epoch += 1
        for partition in self._held.values():
            partition.begin_epoch(self.epoch)

    # -- letting go --------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let go of everything; what was to be flushed has been."""
        self._unsettle()
        self._new_epoch()
        await self._drop(list(self._held.values()))

    async def _drop(self, partitions: list[Partition]) -> bool:
        """Let go of partitions; whether there were any."""
        for partition in partitions:
            partition.active = False
            del self._held[partition.number]
        await asyncio.gather(*(self._close(partition) for partition in partitions))
        return bool(partitions)

    async def _close(self, partition: Partition) -> None:
        await self._flusher.forget(partition)
        self._notes.note_dropped(partition)
        partition.stage.close()
        try:
            await asyncio.wait_for(partition.writer.stop(), CLOSE_S)
        except TimeoutError:
            log_events.PRODUCER_SLOW.tell(partition=partition.number)


def records_lost(loading: Loading, committed: int | None) -> int:
    """How many records retention deleted between where the state ends and where the log begins by now."""
    start = max(committed or 0, loading.position)
    return max(0, loading.input_begin - start) if start else 0


def start_offset(loading: Loading, committed: int | None) -> int:
    """Return where a loaded partition goes on: where its state ends, inside of what the log still holds."""
    start = max(committed or 0, loading.position)
    if committed is not None and committed < loading.position:
        log_events.STATE_AHEAD.tell(partition=loading.partition, last=loading.position, offset=committed)
    if start > loading.input_end:
        raise RuntimeFailure(
            f"partition {loading.partition}: state and offset stand at {start}, the input ends at {loading.input_end}: "
            "the topic was created anew or truncated; reset the group and its changelog too"
        )
    if start < loading.input_begin:
        if start:
            log_events.RECORDS_LOST.tell(partition=loading.partition, first=start, last=loading.input_begin - 1)
        start = loading.input_begin
    return start
