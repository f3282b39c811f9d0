"""When a partition is flushed, and that nothing goes on if a flush does not succeed.

Theory of operation. Each partition has a task that waits for work, then for the right moment:

* after a quiet time, at once (a few milliseconds, so that what arrives together goes together): when load is low,
  waiting for a timer would be most of the latency;
* while flushes follow each other, one begins every ``flush_interval_ms``: under load a transaction holds thousands of
  records and its fixed cost vanishes;
* a stage may tell what others wait for from what is only its own state (``Pressing``). The former goes as soon as
  flushes leave the worker most of its time, judged by how long the last one took and by how many partitions flush: at
  low load that is long before the interval is over, under load it is the interval. State alone takes its time, for only
  a crash would ask for it;
* a partition that is far behind takes its time with everything: what it has is seconds old, and an account that many
  records touch costs one row and one membership a flush. A stage that goes on with nothing until it is flushed, new
  records or its slices, is flushed as soon as ever: that bounds what is gathered;
* if only the offset moved - nothing was written - once a second: it saves no work but a little re-reading.

Partitions flush side by side; within one, the lock makes flushes follow each other. A flush runs in a task of its own
that nobody cancels: were it cut between capture and commit, what the stage handed over would be neither in the stage
nor in the log. Any error in it, and cancellation too, is the end of the worker.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from streams.runtime.failure import FailReason, FailStop
from streams.runtime.partition import Partition
from streams.runtime.stage import Stage, is_pressing, is_sliced
from streams.runtime.transaction import Transaction

GATHER_S: Final = 0.002
PRESSING_SHARE: Final = 3
"""What presses is flushed after so many times the time that the last flush took, counted from its beginning."""
PRESSING_S: Final = 0.0125
"""And not before so long for each partition of the worker: a flush costs much the same however little it writes."""
STATE_INTERVALS: Final = 4
"""State alone is flushed after so many intervals."""
BEHIND_INTERVALS: Final = 20
"""And so is everything while a partition is far behind."""
OFFSET_ONLY_INTERVAL_S: Final = 1.0
BEHIND_RECORDS: Final = 20_000
"""So many records not yet applied are some seconds of work: far behind."""


@dataclass(frozen=True, slots=True)
class FlushNote:
    """What a finished flush was, for the metrics."""

    seconds: float
    changes: int
    topics: Mapping[str, int]
    """Outputs by topic."""
    commit_seconds: float = 0.0
    fresh: Sequence[tuple[int, str | None]] = ()
    """As in `Transaction`."""

    @property
    def outputs(self) -> int:
        return sum(self.topics.values())


class Urgency(IntEnum):
    """What a flush would write."""

    OFFSET = 0
    STATE = 1
    OUTPUTS = 2
    PRESSING = 3


def urgency_of(stage: Stage) -> Urgency:
    pressing = stage.pressing() if is_pressing(stage) else None
    if pressing:
        return Urgency.PRESSING
    if not stage.dirty():
        return Urgency.OFFSET
    return Urgency.OUTPUTS if pressing is None else Urgency.STATE


def may_gather(partition: Partition) -> bool:
    """Say whether it is far behind, and nothing in it waits for a flush to go on."""
    stage = partition.stage
    if (partition.lag() or 0) <= BEHIND_RECORDS or stage.saturated():
        return False
    return not (is_sliced(stage) and stage.has_backlog())


def pause_s(
    urgency: Urgency, interval_s: float, last_took_s: float, *, partitions: int = 1, behind: bool = False
) -> float:
    """How long after a flush began the next one should, where so many partitions flush."""
    if behind and urgency is not Urgency.OFFSET:
        return BEHIND_INTERVALS * interval_s
    match urgency:
        case Urgency.PRESSING:
            return min(interval_s, max(PRESSING_SHARE * last_took_s, PRESSING_S * partitions))
        case Urgency.OUTPUTS:
            return interval_s
        case Urgency.STATE:
            return STATE_INTERVALS * interval_s
        case Urgency.OFFSET:
            return max(STATE_INTERVALS * interval_s, OFFSET_ONLY_INTERVAL_S)


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
            urgency = urgency_of(partition.stage)
            behind = may_gather(partition)
            took_s, partitions = partition.flush_took_s, len(self._timers)
            pause = pause_s(urgency, self._interval_s, took_s, partitions=partitions, behind=behind)
            wait_s = partition.flush_started_at + pause - self._clock()
            if wait_s <= 0 or (urgency is Urgency.PRESSING and not behind):
                await asyncio.sleep(max(wait_s, GATHER_S))
                return
            if behind:  # nothing presses; it may have caught up, or want to be flushed, an interval from now
                await asyncio.sleep(min(wait_s, self._interval_s))
                continue
            # A clean stage may become dirty while it waits for its slower turn, or may have something that presses.
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, self._interval_s)):
                    await partition.hurry.wait()

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
                partition.hurry.clear()
                started = partition.flush_started_at = self._clock()
                if partition.writer.may_hang:
                    partition.flush_waits_since = started
                    await partition.writer.end_hanging()
                    partition.flush_waits_since = None
                transaction = partition.capture()
                if transaction is None:
                    return
                partition.flush_waits_since = started
                await partition.writer.write(transaction)
                partition.committed = transaction.position
                partition.flush_waits_since = None
                partition.flush_took_s = self._clock() - started
                self._note(_noted(transaction, partition))
        except BaseException as error:  # noqa: BLE001 - cancellation too leaves captured output in nobody's hands
            self._failure.fail(FailReason.FLUSH, error)


def _noted(transaction: Transaction, partition: Partition) -> FlushNote:
    topics = Counter(output.topic for output in transaction.outputs)
    commit_s = partition.writer.commit_took_s
    return FlushNote(partition.flush_took_s, len(transaction.changes), topics, commit_s, transaction.fresh)
