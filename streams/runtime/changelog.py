"""Loading state: the changelog of a partition, read committed, to its end.

Theory of operation. Only the owner of an input partition writes its changelog partition, and the owner has just fenced
all others: what can be read now is complete, and the end does not move. The end is reached when the consumer's
*position* is there; counting records would wait for ever, since transaction markers and compacted rows yield none. The
high watermark of a fetch made after the fence is asked, not only the offset that was listed first, so that an open
transaction - which hides rows from the listing - is waited for and not read past. The writer's start has ended whatever
was open (``producer.py``), but the markers that say so may still be on their way.

All partitions are read by one consumer of their own, raw records in large fetches, and handed to the stages row by row.

A flush that is a transaction ends with its position row, so that row is the last of the log. Where it is not, somebody
wrote without transactions and did not come to the end of a flush: then what stands there is not the state, and only the
loader of ``acked.py`` can tell what is.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from streams import log_events
from streams.runtime.ending import Ending
from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import RuntimeOptions
from streams.runtime.position import POSITION_KEY, STAGED_MARK, Position, decode_position
from streams.runtime.progress import progress
from streams.runtime.raw_records import RawConsumer
from streams.runtime.stage import InputRecord, Stage

FETCH_BYTES_MAX: Final = 64 << 20
PARTITION_FETCH_BYTES_MAX: Final = 8 << 20
ROWS_AT_ONCE_MAX: Final = 5_000
POLL_MS: Final = 200
PROGRESS_LOGGED_EVERY_S: Final = 5.0


@dataclass(slots=True)
class Loading:
    """One partition on its way: what ``/readyz`` shows and what the assignment needs afterwards."""

    partition: int
    stage: Stage
    end: int = 0
    read_to: int = 0
    rows: int = 0
    position: int = 0
    """What the position row says; 0 without one."""
    input_begin: int = 0
    input_end: int = 0
    done: bool = False
    ending: Ending | None = None
    """Where a changelog without transactions ends well."""
    _last: tuple[Position, int] | None = None
    """The last position row, and where it stands."""
    _read_last: int = -1

    def take(self, records: Sequence[InputRecord]) -> None:
        restore = self.stage.restore
        if self.ending is not None:
            for row in self.ending.admit(records):
                restore(*row)
                self.rows += 1
            return
        for record in records:
            key = record.key
            if key == POSITION_KEY:
                self._last = decode_position(record.value), record.offset
                self.position = self._last[0].next
            elif key is None:
                raise RuntimeFailure(f"changelog partition {self.partition} has a row without a key")
            elif key[:1] != STAGED_MARK:
                restore(key, record.value)
                self.rows += 1
        if records:
            self._read_last = records[-1].offset

    def finish(self) -> None:
        """Note that everything was read."""
        if self.ending is not None:
            self.position = self.ending.position.next
        elif self._last is not None and self._last[0].leaves_open(self._last[1], self._read_last):
            raise RuntimeFailure(
                f"changelog partition {self.partition} ends within a flush that was no transaction: start this stage "
                "once with runtime.guarantee=at_least_once, and stop it with SIGTERM"
            )
        self.stage.restored()
        self.done = True


class Superseded(Exception):  # noqa: N818 - no error: a newer assignment came while this one was loading
    """The load was given up for a newer assignment."""


class ChangelogLoader:
    """Loads the stages of newly assigned partitions."""

    def __init__(
        self,
        options: RuntimeOptions,
        input_topic: str,
        changelog_topic: str,
        new_consumer: Callable[..., RawConsumer] = RawConsumer,
    ) -> None:
        self._options = options
        self._new_consumer = new_consumer
        self._input = input_topic
        self._changelog = changelog_topic

    async def load(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
        """Feed every stage its rows; raise ``Superseded`` as soon as ``is_current`` says no."""
        consumer = self._new_consumer(
            **self._options.kafka.arguments(),
            group_id=None,
            client_id=f"{self._options.group}-loader",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_bytes=FETCH_BYTES_MAX,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
            fetch_max_wait_ms=50,
        )
        try:
            await consumer.start()
            await self._read(consumer, loadings, is_current)
        finally:
            await consumer.stop()

    async def repair(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
        """Write again what loading found to need it, or raise ``Superseded``. Transactions leave no such thing."""

    async def _read(self, consumer: RawConsumer, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
        by_tp = {TopicPartition(self._changelog, loading.partition): loading for loading in loadings}
        await self._survey(consumer, by_tp)
        consumer.assign(list(by_tp))
        await consumer.seek_to_beginning(*by_tp)
        started = logged = moved = time.monotonic()
        while by_tp:
            if not is_current():
                raise Superseded
            fetched = await consumer.getmany(*by_tp, timeout_ms=POLL_MS, max_records=ROWS_AT_ONCE_MAX)
            for tp, records in fetched.items():
                by_tp[tp].take(records)
            now = time.monotonic()
            for tp, loading in list(by_tp.items()):
                read_to = await consumer.position(tp)
                if read_to != loading.read_to:
                    loading.read_to, moved = read_to, now
                high = consumer.highwater(tp)
                if high is not None and read_to >= max(high, loading.end):
                    loading.finish()
                    del by_tp[tp]
                    moved = now
            if now - moved > self._options.stall_timeout_s:
                raise RuntimeFailure(f"loading {self._changelog} made no progress for {now - moved:.0f} s")
            if now - logged > PROGRESS_LOGGED_EVERY_S:
                logged = now
                _log_progress(loadings, now - started)
            await asyncio.sleep(0)

    async def _survey(self, consumer: RawConsumer, by_tp: dict[TopicPartition, Loading]) -> None:
        inputs = {TopicPartition(self._input, tp.partition): loading for tp, loading in by_tp.items()}
        ends = await consumer.end_offsets([*by_tp, *inputs])
        begins = await consumer.beginning_offsets(list(inputs))
        for tp, loading in by_tp.items():
            loading.end = ends[tp]
        for tp, loading in inputs.items():
            loading.input_begin, loading.input_end = begins[tp], ends[tp]


def _log_progress(loadings: list[Loading], seconds: float) -> None:
    unfinished = [one.partition for one in loadings if not one.done]
    log_events.LOADING_GOES_ON.tell(progress=str(progress(loadings, seconds)), partitions=unfinished)
