"""A flush without a transaction: outputs acked, then state, then the offset. For brokers that have no transactions.

Theory of operation. A crash between two steps repeats the one before: outputs that were written and are not in the
state come again, with the same ids, since transitions are a function of the log. So readers that drop what they have
seen (``transition_id``; or account and sequence) see each once. The state itself is as exact as with transactions:

**A flush's rows count together or not at all.** If they fit into one record batch the log takes them as one. The last
record of the batch is the position row, and it says at which offset it expects to stand (``position.py``). A larger
flush is *staged*: its rows go, in as many batches as it takes, under keys of the runtime's own, which replace nothing.
Then one position row says that the staged rows count; then they are written again under their own keys; then a position
row says so, and the staged ones are deleted. Whoever loads in between takes the staged rows for the state and does the
rest.

**Only one writer's rows count.** Nothing fences a producer without transactions. But the offsets of a log are given out
in order: a writer knows where the log ended when it loaded, and every batch must come to stand where its own last one
ended. If one does not, another process wrote; the writer stops, and what it wrote since does not count, for no position
row follows, or the one that does stands elsewhere. So of two owners at most one gets a flush through, and only if it
had read everything before it: appending is compare-and-set on the end of the log.

**A stranger's rows are undone.** They do not count, but replace others by compaction. Who finds them is the owner (its
next batch stands elsewhere) and ends; its successor writes the good rows again before anything else (``ending.py``).
An owner that was quiet for a while looks at the log's end before it writes, so that it cannot itself be the one who
makes the broker close the segment and compact it.

**A zombie is kept from writing.** Before outputs and again before rows the lease is asked (``membership.py``); and the
offset is committed as a member of a generation, which the group refuses to others.

What remains possible: a process that is stopped between the look at its lease and the send, beyond the session
time-out, writes one flush more. Its outputs are repetitions (same ids); in a compacted output topic, whose last record
counts, an older record may then stand last: readers keep the one with the greater ``sequence``. Its rows cost a
restart. The compaction lag bounds how late that may be repaired; later, loading says that the state must be computed
anew.

**A repair comes to its end.** Two who repair at once void each other's, and both end. So a rebalance waits for a repair
under way, and one that was overtaken does not begin (``assignment.py``). And repairs that were cut off make the next
one no larger: only rows of the state are staged, which are as many as before. What others left staged is deleted once
the state stands, and not staged in turn: nobody loads it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from aiokafka import TopicPartition

from streams.runtime.changelog import ChangelogLoader, Loading, Superseded
from streams.runtime.ending import Ending
from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import RuntimeOptions
from streams.runtime.position import (
    POSITION_KEY,
    Row,
    encode_position_at,
    require_keys_of_stages,
    staged,
)
from streams.runtime.producer import PackingProducer
from streams.runtime.raw_records import RawConsumer
from streams.runtime.transaction import BatchingWriter, Transaction, producer_arguments

LOOK_AFTER_S: Final = 60.0
"""Quiet for so long, a writer looks whether the log still ends where it left it. Far below the compaction lag."""
LOOK_BACK_RECORDS: Final = 10_000
LOOK_FURTHER: Final = 8
POLL_MS: Final = 200


class Group(Protocol):
    """What a writer needs of the worker's consumer group."""

    async def hold(self) -> None:
        """Return only while no other worker can own this one's partitions; raise once one may."""
        ...

    async def commit(self, tp: Any, offset: int) -> None:
        """Commit as a member of the present generation, or raise."""
        ...

    async def end_of(self, tp: Any) -> int:
        """Return the offset after a partition's last record."""
        ...


class AckedWriter(BatchingWriter):
    """The writer for brokers without transactions. ``adopt`` comes between ``start`` and the first ``write``."""

    def __init__(
        self,
        options: RuntimeOptions,
        input_topic: str,
        changelog_topic: str,
        partition: int,
        group: Group,
        new_producer: Callable[..., Any] = PackingProducer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        producer = new_producer(
            **producer_arguments(options, partition),
            enable_idempotence=True,  # a batch that is sent again is not written again
        )
        super().__init__(producer, input_topic, changelog_topic, partition)
        self._group = group
        self._clock = clock
        self._end = -1
        self._wrote_at = clock()

    async def adopt(self, ending: Ending, now_ms: int) -> None:
        """Take over the changelog as it was loaded; write what is to be written again, and its first position row."""
        self._end, self._wrote_at = ending.end, self._clock()
        repairs, leftovers = ending.repairs(now_ms), ending.leftovers()
        if repairs or leftovers or not ending.found:
            await self._group.hold()
            await self._append(repairs, ending.position.next)
            await self._delete(leftovers, ending.position.next)

    async def write(self, transaction: Transaction) -> None:
        require_keys_of_stages(transaction.changes)
        await self._group.hold()
        packer = self._packer()
        await self._pack_outputs(packer, transaction.outputs)
        await self._delivered(packer.batches())
        await self._group.hold()
        await self._look_if_quiet()
        await self._append(transaction.changes, transaction.position)
        began = time.monotonic()
        await self._group.commit(self._input, transaction.position)
        self.commit_took_s = time.monotonic() - began

    async def _look_if_quiet(self) -> None:
        if self._clock() - self._wrote_at > LOOK_AFTER_S:
            self._require(await self._group.end_of(self._changelog))

    async def _append(self, rows: Sequence[Row], position: int) -> None:
        batch = self._one_batch(rows, position)
        if batch is not None:
            await self._send([(self._changelog, batch)], [len(rows) + 1])
            return
        origin = self._end
        copies = [staged(origin, number, row) for number, row in enumerate(rows)]
        await self._send_rows(copies)
        await self._send_rows([(POSITION_KEY, encode_position_at(position, self._end, origin))])
        # From here on the flush counts: whoever loads now does the rest.
        await self._send_rows(rows)
        await self._send_rows([(POSITION_KEY, encode_position_at(position, self._end))])
        # And from here on nobody needs the staged rows; a crash leaves them to the next owner to delete.
        await self._delete([key for key, _ in copies], position)

    async def _delete(self, keys: Sequence[bytes], position: int) -> None:
        """Delete staged rows that nobody needs: whatever comes of it, what counts is the same."""
        if keys:
            await self._send_rows([(key, None) for key in keys])
            await self._send_rows([(POSITION_KEY, encode_position_at(position, self._end))])

    def _one_batch(self, rows: Sequence[Row], position: int) -> Any:
        """Everything in one batch, or nothing if it does not fit."""
        now_ms = int(time.time() * 1000)
        batch = self._producer.create_batch()
        own = POSITION_KEY, encode_position_at(position, self._end + len(rows))
        for key, value in (*rows, own):
            if batch.append(timestamp=now_ms, key=key, value=value, headers=[]) is None:
                return None
        return batch

    async def _send_rows(self, rows: Sequence[Row]) -> None:
        packer = self._packer()
        await self._pack_rows(packer, rows)
        batches = packer.batches()
        await self._send(batches, [batch.record_count() for _, batch in batches])

    async def _send(self, batches: Sequence[tuple[TopicPartition, Any]], counts: Sequence[int]) -> None:
        """Send batches of the changelog, and see each come to stand where the one before ended."""
        for delivered, count in zip(await self._delivered(batches), counts, strict=True):
            self._require(delivered.offset)
            self._end += count
        self._wrote_at = self._clock()

    def _require(self, offset: int) -> None:
        if offset != self._end:
            topic, partition = self._changelog
            raise RuntimeFailure(
                f"{topic}, partition {partition}: what was to stand at {self._end} stands at {offset}: another process "
                "writes to it; this one ends, and its successor puts the log in order"
            )


class AckedLoader(ChangelogLoader):
    """Loads what counts, and hands each partition's writer the end of the log and what it has to write again."""

    def __init__(
        self,
        options: RuntimeOptions,
        input_topic: str,
        changelog_topic: str,
        writers: Callable[[int], AckedWriter],
        new_consumer: Callable[..., RawConsumer] = RawConsumer,
    ) -> None:
        super().__init__(options, input_topic, changelog_topic, new_consumer)
        self._writer_of = writers

    async def repair(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
        for loading in loadings:
            if not is_current():
                raise Superseded
            assert loading.ending is not None
            await self._writer_of(loading.partition).adopt(loading.ending, int(time.time() * 1000))

    async def _survey(self, consumer: RawConsumer, by_tp: dict[TopicPartition, Loading]) -> None:
        await super()._survey(consumer, by_tp)
        begins = await consumer.beginning_offsets(list(by_tp))
        for tp, loading in by_tp.items():
            loading.ending = await self._ending(consumer, tp, begins[tp], loading.end)

    async def _ending(self, consumer: RawConsumer, tp: TopicPartition, begin: int, listed_end: int) -> Ending:
        """Find the last position row that counts, reading ever more of the log's end."""
        consumer.assign([tp])
        records_max = LOOK_BACK_RECORDS
        while True:
            ending = Ending()
            start = max(begin, listed_end - records_max)
            consumer.seek(tp, start)
            moved = time.monotonic()
            while True:
                fetched = await consumer.getmany(tp, timeout_ms=POLL_MS)
                ending.look(fetched.get(tp, ()))
                read_to, high = await consumer.position(tp), consumer.highwater(tp)
                if high is not None and read_to >= max(high, listed_end):
                    break
                moved = time.monotonic() if fetched else moved
                if time.monotonic() - moved > self._options.stall_timeout_s:
                    raise RuntimeFailure(f"reading the end of {tp.topic} made no progress")
            ending.end = read_to
            if ending.found or start == begin:
                return ending
            records_max *= LOOK_FURTHER
