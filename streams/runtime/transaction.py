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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import RuntimeOptions
from streams.runtime.partitioner import partition_of
from streams.runtime.position import POSITION_KEY, encode_position
from streams.runtime.stage import Headers, Output

BATCH_BYTES_MAX: Final = 900_000
RETRY_BACKOFF_MS: Final = 20
RECORDS_PACKED_AT_ONCE_MAX: Final = 2_000
"""Packing is plain computing; between so many records the loop gets a turn."""
COMPRESSION: Final = "lz4"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one flush of one partition writes."""

    outputs: Sequence[Output]
    changes: Sequence[tuple[bytes, bytes | None]]
    position: int


class Writer(Protocol):
    """Commits the flushes of one input partition, one at a time."""

    async def start(self) -> None:
        """Fence every earlier owner and finish what it left open."""
        ...

    async def write(self, transaction: Transaction) -> None:
        """Commit, or raise; after an error nothing more may be written."""
        ...

    async def stop(self) -> None: ...


WriterFactory = Callable[[int], Writer]


class TransactionalWriter:
    """The writer for brokers with transactions."""

    def __init__(
        self,
        options: RuntimeOptions,
        input_topic: str,
        changelog_topic: str,
        partition: int,
        new_producer: Callable[..., Any] = AIOKafkaProducer,
    ) -> None:
        self._group = options.group
        self._input = TopicPartition(input_topic, partition)
        self._changelog = changelog_topic
        self._producer = new_producer(
            **options.kafka.arguments(),
            transactional_id=options.transactional_id(partition),
            transaction_timeout_ms=options.transaction_timeout_ms,
            client_id=f"{options.group}-writer-{partition}",
            compression_type=COMPRESSION,
            max_batch_size=BATCH_BYTES_MAX,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            linger_ms=0,
        )
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def write(self, transaction: Transaction) -> None:
        producer = self._producer
        batches = await self._packed(transaction)
        await producer.begin_transaction()
        sent = [await producer.send_batch(batch, tp.topic, partition=tp.partition) for tp, batch in batches]
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        offsets = {self._input: OffsetAndMetadata(transaction.position, "")}
        await producer.send_offsets_to_transaction(offsets, self._group)
        await producer.commit_transaction()

    async def _packed(self, transaction: Transaction) -> list[tuple[TopicPartition, Any]]:
        packer = Packer(self._producer.create_batch, int(time.time() * 1000))
        for count, output in enumerate(transaction.outputs, 1):
            topic = output.topic
            partitions = self._partitions.get(topic) or await self._count_partitions(topic)
            partition = output.partition
            if partition is None:
                key = output.key
                partition = self._input.partition % partitions if key is None else partition_of(key, partitions)
            packer.add(TopicPartition(topic, partition), output.key, output.value, output.timestamp_ms, output.headers)
            if count % RECORDS_PACKED_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)
        changelog = TopicPartition(self._changelog, self._input.partition)
        for count, (key, value) in enumerate(transaction.changes, 1):
            if not key:
                raise RuntimeFailure("a changelog row without a key: the empty key is the runtime's own")
            packer.add(changelog, key, value, None, ())
            if count % RECORDS_PACKED_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)
        packer.add(changelog, POSITION_KEY, encode_position(transaction.position), None, ())
        return packer.batches()

    async def _count_partitions(self, topic: str) -> int:
        known = await self._producer.partitions_for(topic)
        if not known:
            raise KafkaError(f"topic {topic} has no partitions")
        self._partitions[topic] = len(known)
        return len(known)


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
