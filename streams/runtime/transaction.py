"""One flush as one Kafka transaction, with a producer per input partition.

Theory of operation. The transactional id is the partition's, not the worker's: starting the producer fences every
earlier owner of the partition and finishes what it left open, so two processes cannot both commit for a partition,
whatever they believe of their assignment. (aiokafka's offset commits carry no group generation, so ids per worker
would fence nothing.) A flush is

    begin, send all batches, await every batch, send the offset, commit

and each step matters: a batch that failed does not fail the transaction, so a record too large would be lost in
silence if its future was not awaited before the commit. (The offset could go while the batches are under way, but then
the coordinator, busy with the one, turns the other away, and the retry costs more than was saved.) Any error leaves the
transaction open and ends the process; the next owner's start aborts it.

The changelog partition gets, after the stage's rows, a row with an empty key: the position that these rows lead to. It
is written in the same transaction as the offset and says the same; see ``changelog.py`` for what it is good for.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import RuntimeOptions
from streams.runtime.partitioner import partition_of
from streams.runtime.position import POSITION_KEY, Row, encode_position, require_keys_of_stages
from streams.runtime.producer import TransactionalProducer
from streams.runtime.stage import Headers, InputRecord, Output
from streams.tracing.spans import Span

BATCH_BYTES_MAX: Final = 900_000
RETRY_BACKOFF_MS: Final = 20
RECORDS_PACKED_AT_ONCE_MAX: Final = 2_000
"""Packing is plain computing; between so many records the loop gets a turn."""
COMPRESSION: Final = "snappy"
"""aiokafka packs lz4 at its highest level, which takes five times as long as snappy for a tenth fewer bytes. Our own
batches (`record_batch.py`) know no other."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one flush of one partition writes."""

    outputs: Sequence[Output]
    changes: Sequence[Row]
    position: int
    fresh: Sequence[tuple[int, str | None]] = ()
    """Of some outputs: the timestamp of the record that led to it, ms UTC, and of a transition its id."""
    spans: Sequence[Span] = ()


class Writer(Protocol):
    """Commits the flushes of one input partition, one at a time."""

    @property
    def commit_took_s(self) -> float:
        """How long the commit of the last flush took: the last step, after which it counts."""
        ...

    async def start(self) -> None:
        """Fence every earlier owner and finish what it left open, also what its coordinator has forgotten."""
        ...

    async def write(self, transaction: Transaction) -> None:
        """Commit, or raise; after an error nothing more may be written."""
        ...

    @property
    def may_hang(self) -> bool:
        """Whether readers may wait for what the last ``write`` committed because its end was forgotten."""
        ...

    async def end_hanging(self) -> None:
        """See that it hangs no longer. Not beside ``write``."""
        ...

    async def stop(self) -> None: ...


@runtime_checkable
class Watching(Protocol):
    """A writer that wants to see what its transactions come from."""

    def applying(self, records: Sequence[InputRecord]) -> None:
        """Look at records that the stage applies now."""
        ...


WriterFactory = Callable[[int], Writer]


def producer_arguments(options: RuntimeOptions, partition: int) -> dict[str, Any]:
    """What the producers of all writers are made with."""
    return {
        **options.kafka.arguments(),
        "client_id": f"{options.group}-writer-{partition}",
        "compression_type": COMPRESSION,
        "max_batch_size": BATCH_BYTES_MAX,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "linger_ms": 0,
    }


class BatchingWriter:
    """What writers have in common: outputs and rows packed into batches, and every batch awaited."""

    def __init__(self, producer: Any, input_topic: str, changelog_topic: str, partition: int) -> None:
        self._producer = producer
        self._input = TopicPartition(input_topic, partition)
        self._changelog = TopicPartition(changelog_topic, partition)
        self._places: dict[str, list[TopicPartition]] = {}
        """The partitions of each topic that was written to, in order."""
        self.commit_took_s = 0.0

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    @property
    def may_hang(self) -> bool:
        return False

    async def end_hanging(self) -> None:
        """Without transactions nothing hangs."""

    def _packer(self) -> "Packer":
        return Packer(self._producer.create_batch, int(time.time() * 1000))

    async def _pack_outputs(self, packer: "Packer", outputs: Sequence[Output]) -> None:
        places = self._places
        for count, output in enumerate(outputs, 1):
            topic, key = output.topic, output.key
            of_topic = places.get(topic) or await self._find_places(topic)
            partition = output.partition
            if partition is None:
                partitions = len(of_topic)
                partition = self._input.partition % partitions if key is None else partition_of(key, partitions)
            packer.add(of_topic[partition], key, output.value, output.timestamp_ms, output.headers)
            if count % RECORDS_PACKED_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)

    async def _pack_rows(self, packer: "Packer", rows: Sequence[Row]) -> None:
        for count, (key, value) in enumerate(rows, 1):
            packer.add(self._changelog, key, value, None, ())
            if count % RECORDS_PACKED_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)

    async def _delivered(self, batches: Sequence[tuple[TopicPartition, Any]]) -> list[Any]:
        """Send everything, wait for everything - also after one has failed - and raise the first failure."""
        sent = [await self._producer.send_batch(batch, tp.topic, partition=tp.partition) for tp, batch in batches]
        results = await asyncio.gather(*sent, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    async def _find_places(self, topic: str) -> list[TopicPartition]:
        known = await self._producer.partitions_for(topic)
        if not known:
            raise KafkaError(f"topic {topic} has no partitions")
        places = self._places[topic] = [TopicPartition(topic, number) for number in range(len(known))]
        return places


class TransactionalWriter(BatchingWriter):
    """The writer for brokers with transactions."""

    def __init__(
        self,
        options: RuntimeOptions,
        input_topic: str,
        changelog_topic: str,
        partition: int,
        output_topics: Sequence[str],
        new_producer: Callable[..., Any] = TransactionalProducer,
    ) -> None:
        producer = new_producer(
            **producer_arguments(options, partition),
            transactional_id=options.transactional_id(partition),
            transaction_timeout_ms=options.transaction_timeout_ms,
        )
        super().__init__(producer, input_topic, changelog_topic, partition)
        self._group = options.group
        self._output_topics = output_topics

    async def start(self) -> None:
        await super().start()
        await self.end_hanging()

    @property
    def may_hang(self) -> bool:
        return bool(self._producer.may_hang)

    async def end_hanging(self) -> None:
        # Where an output goes its key says, so any partition may be one that the last transaction wrote to.
        outputs = [place for topic in self._output_topics for place in await self._find_places(topic)]
        with self._explained():
            await self._producer.end_hanging([self._changelog, *outputs], self._group)

    async def write(self, transaction: Transaction) -> None:
        producer = self._producer
        packer = self._packer()
        await self._pack_outputs(packer, transaction.outputs)
        require_keys_of_stages(transaction.changes)
        await self._pack_rows(packer, transaction.changes)
        packer.add(self._changelog, POSITION_KEY, encode_position(transaction.position), None, ())
        with self._explained():
            await producer.begin_transaction()
            await self._delivered(packer.batches())
            offsets = {self._input: OffsetAndMetadata(transaction.position, "")}
            await producer.send_offsets_to_transaction(offsets, self._group)
            began = time.monotonic()
            await producer.commit_transaction()
            self.commit_took_s = time.monotonic() - began

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ProducerFenced as error:
            raise RuntimeFailure(
                f"another process owns partition {self._input.partition} now: this one was silent for longer than the "
                "session time-out or the transaction time-out, or the other has its instance_id"
            ) from error


class Packer:
    """Fills record batches, by topic and partition, in the order of ``add``."""

    def __init__(self, create_batch: Callable[[], Any], now_ms: int) -> None:
        self._create = create_batch
        self._now_ms = now_ms
        self._open: dict[TopicPartition, Any] = {}
        self._full: list[tuple[TopicPartition, Any]] = []

    def add(
        self, tp: TopicPartition, key: bytes | None, value: bytes | None, timestamp_ms: int | None, headers: Headers
    ) -> None:
        stamp = self._now_ms if timestamp_ms is None else timestamp_ms
        # The C extension takes a list and nothing else; fetched headers are one already.
        pairs = headers if isinstance(headers, list) else list(headers)
        batch = self._open.get(tp)
        if batch is not None:
            if batch.append(timestamp=stamp, key=key, value=value, headers=pairs) is not None:
                return
            self._full.append((tp, batch))
        batch = self._open[tp] = self._create()
        # An empty batch takes a record of any size; the broker judges it, and the flush fails if it refuses.
        if batch.append(timestamp=stamp, key=key, value=value, headers=pairs) is None:
            raise RuntimeFailure(f"a record for {tp.topic} fits no batch")

    def batches(self) -> list[tuple[TopicPartition, Any]]:
        """All batches, those of one partition in order."""
        return [*self._full, *self._open.items()]
