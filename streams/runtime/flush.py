"""When a partition is flushed, and that nothing goes on if a flush does not succeed.

Theory of operation. Each partition has a task that waits for work, then for the right moment:

* after a quiet time, at once (a few milliseconds, so that what arrives together goes together): when load is low,
  waiting for a timer would be most of the latency;
* while flushes follow each other, one begins every ``flush_interval_ms``: under load a transaction holds thousands of
  records and its fixed cost vanishes;
* if only the offset moved - nothing was written - once a second: it saves no work but a little re-reading.

Partitions flush side by side; within one, the lock makes flushes follow each other. A flush runs in a task of its own
that nobody cancels: were it cut between capture and commit, what the stage handed over would be neither in the stage
nor in the log. Any error in it, and cancellation too, is the end of the worker.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from streams.runtime.failure import FailReason, FailStop
from streams.runtime.partition import Partition
from streams.runtime.transaction import Transaction

GATHER_S: Final = 0.002
OFFSET_ONLY_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class FlushNote:
    """What a finished flush was, for the metrics."""

    seconds: float
    changes: int
    topics: Mapping[str, int]
    """Outputs by topic."""

    @property
    def outputs(self) -> int:
        return sum(self.topics.values())


def next_flush_at(now: float, last_started_at: float, interval_s: float, *, dirty: bool) -> float:
    """Return the moment at which a flush that is wanted now should begin."""
    pause = interval_s if dirty else max(interval_s, OFFSET_ONLY_INTERVAL_S)
    return max(now + GATHER_S, last_started_at + pause)


class Flusher:
    """Flushes partitions, by timer and on demand."""

    def __init__(
        self,
        interval_ms: int,
        failure: FailStop,
        note: Callable[[FlushNote], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = interval_ms / 1000
        self._failure = failure
        self._note = note
        self._clock = clock
        self._timers: dict[Partition, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def watch(self, partition: Partition) -> None:
        """Flush a partition by timer from now on."""
        if partition not in self._timers:
            self._timers[partition] = asyncio.create_task(self._timer(partition), name=f"flush-{partition.number}")

    async def forget(self, partition: Partition) -> None:
        """Flush a partition never again. A flush that has begun is finished first, one that waits finds nothing to do.

        By now the partition may be another worker's: to write would end this one by the fence.
        """
        async with partition.flushing:
            partition.retired = True
        timer = self._timers.pop(partition, None)
        if timer is not None:
            timer.cancel()
            await asyncio.wait([timer])

    async def flush_all(self, partitions: Iterable[Partition]) -> None:
        """Flush side by side, and return when all have committed; raise if the worker has failed."""
        await asyncio.gather(*(self._flush_unbroken(partition) for partition in partitions))
        self._failure.check()

    async def _timer(self, partition: Partition) -> None:
        try:
            while not self._failure.failed:
                await partition.work.wait()
                await self._right_moment(partition)
                if partition.active:
                    await self._flush_unbroken(partition)
                else:  # in a rebalance; whoever works on the partition afterwards sets `work` again
                    partition.work.clear()
        except Exception as error:  # noqa: BLE001 - whatever a stage raises: without its timer nothing is written
            self._failure.fail(FailReason.STAGE, error)

    async def _right_moment(self, partition: Partition) -> None:
        while True:
            now = self._clock()
            due = next_flush_at(now, partition.flush_started_at, self._interval_s, dirty=partition.stage.dirty())
            wait_s = due - now
            # A clean stage may become dirty while it waits for its slower turn.
            await asyncio.sleep(min(wait_s, self._interval_s))
            if wait_s <= self._interval_s:
                return

    async def _flush_unbroken(self, partition: Partition) -> None:
        task = asyncio.create_task(self._flush(partition))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def _flush(self, partition: Partition) -> None:
        try:
            async with partition.flushing:
                if self._failure.failed or partition.retired:
                    return
                partition.work.clear()
                started = partition.flush_started_at = self._clock()
                transaction = partition.capture()
                if transaction is None:
                    return
                partition.flush_waits_since = started
                await partition.writer.write(transaction)
                partition.committed = transaction.position
                partition.flush_waits_since = None
                self._note(_noted(transaction, self._clock() - started))
        except BaseException as error:  # noqa: BLE001 - cancellation too leaves captured output in nobody's hands
            self._failure.fail(FailReason.FLUSH, error)


def _noted(transaction: Transaction, seconds: float) -> FlushNote:
    return FlushNote(seconds, len(transaction.changes), Counter(output.topic for output in transaction.outputs))
