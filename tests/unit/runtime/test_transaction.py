import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced
from aiokafka.partitioner import murmur2 as client_murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import KafkaAccess, RuntimeOptions
from streams.runtime.partitioner import murmur2, partition_of
from streams.runtime.position import POSITION_KEY
from streams.runtime.stage import Output
from streams.runtime.transaction import BATCH_BYTES_MAX, Packer, Transaction, TransactionalWriter

OPTIONS = RuntimeOptions(kafka=KafkaAccess("127.0.0.1:1"), group="pegel.toy")


class FakeProducer:
    """Notes the order of calls; batches of the topics in ``refused`` fail when their future is awaited."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.batches: list[tuple[str, int, Any]] = []
        self.offsets: dict[Any, Any] = {}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES_MAX, 0, is_transactional=1)

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(4))

    async def begin_transaction(self) -> None:
        self.calls.append("begin")

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[None]":
        self.calls.append("send")
        self.batches.append((topic, partition, batch))

        async def delivered() -> None:
            await asyncio.sleep(0.001)
            self.calls.append("acked")
            if topic in self.refused:
                raise self.refused[topic]

        return asyncio.ensure_future(delivered())

    async def send_offsets_to_transaction(self, offsets: dict[Any, Any], group: str) -> None:
        self.calls.append("offsets")
        assert group == OPTIONS.group
        self.offsets = offsets

    async def commit_transaction(self) -> None:
        self.calls.append("commit")


@pytest.fixture
async def producer() -> FakeProducer:
    return FakeProducer()


def writer_with(producer: FakeProducer, partition: int = 2) -> TransactionalWriter:
    writer = object.__new__(TransactionalWriter)
    writer._group = OPTIONS.group
    writer._input = TopicPartition("in", partition)
    writer._changelog = TopicPartition("changelog", partition)
    writer._places = {}
    writer._producer = producer
    return writer


def content(batch: Any) -> list[tuple[bytes | None, bytes | None, int, list[tuple[str, bytes | None]]]]:
    batch._set_producer_state(1, 1, 0)
    return [(one.key, one.value, one.timestamp, one.headers) for one in DefaultRecordBatch(bytes(batch._build()))]


async def test_a_flush_is_begin_send_acks_offset_commit_in_that_order(producer: FakeProducer) -> None:
    await writer_with(producer).write(Transaction([Output("out", b"k", b"v")], [(b"k", b"s")], 7))
    assert producer.calls == ["begin", "send", "send", "acked", "acked", "offsets", "commit"]
    assert producer.offsets[TopicPartition("in", 2)].offset == 7


@pytest.mark.parametrize(
    ("error", "said"),
    [(MessageSizeTooLargeError("2 MiB"), "2 MiB"), (ProducerFenced(), "another process owns partition 2 now")],
)
async def test_a_batch_that_was_refused_keeps_the_transaction_from_committing(
    producer: FakeProducer, error: Exception, said: str
) -> None:
    producer.refused["out"] = error
    with pytest.raises((type(error), RuntimeFailure), match=said):
        await writer_with(producer).write(Transaction([Output("out", b"k", b"v")], [(b"k", b"s")], 7))
    assert "commit" not in producer.calls
    assert producer.calls.count("acked") == 2, "every batch is waited for, also after one has failed"


async def test_outputs_go_where_murmur2_says_and_rows_to_the_inputs_own_partition(producer: FakeProducer) -> None:
    outputs = [Output("out", b"key-%d" % number, b"") for number in range(20)]
    await writer_with(producer, partition=3).write(Transaction(outputs, [(b"row", b"1")], 7))
    for topic, partition, batch in producer.batches:
        for key, _, _, _ in content(batch):
            assert key is not None
            assert partition == (partition_of(key, 4) if topic == "out" else 3)


async def test_the_changelogs_last_row_is_the_position(producer: FakeProducer) -> None:
    await writer_with(producer).write(Transaction([], [(b"a", b"1"), (b"b", None)], 7))
    ((topic, partition, batch),) = producer.batches
    rows = content(batch)
    assert (topic, partition) == ("changelog", 2)
    assert [(key, value) for key, value, _, _ in rows[:-1]] == [(b"a", b"1"), (b"b", None)]
    assert rows[-1][0] == POSITION_KEY
    assert rows[-1][1] == b'{"position":7}'


@pytest.mark.parametrize("key", [b"", b"\xff\x00\x01"])
async def test_a_row_under_a_key_of_the_runtimes_own_is_refused(producer: FakeProducer, key: bytes) -> None:
    with pytest.raises(RuntimeFailure, match="without a key"):
        await writer_with(producer).write(Transaction([], [(key, b"1")], 7))
    assert "begin" not in producer.calls


async def test_an_output_keeps_its_own_partition_timestamp_and_headers(producer: FakeProducer) -> None:
    output = Output("out", None, b"v", (("h", b"1"),), partition=1, timestamp_ms=12_345)
    await writer_with(producer).write(Transaction([output], [], 7))
    topic, partition, batch = producer.batches[0]
    assert (topic, partition) == ("out", 1)
    assert content(batch) == [(None, b"v", 12_345, [("h", b"1")])]


def test_packing_keeps_the_order_within_a_partition_over_many_batches() -> None:
    packer = Packer(FakeProducer().create_batch, 0)
    tps = [TopicPartition("out", 0), TopicPartition("out", 1)]
    for number in range(600):
        packer.add(tps[number % 2], b"%d" % number, b"x" * 10_000, None, ())
    batches = packer.batches()
    assert len(batches) > 4
    for place, tp in enumerate(tps):
        keys = [int(row[0] or b"") for where, batch in batches if where == tp for row in content(batch)]
        assert keys == list(range(place, 600, 2))


def test_packing_takes_a_record_larger_than_a_batch() -> None:
    packer = Packer(FakeProducer().create_batch, 0)
    tp = TopicPartition("out", 0)
    for size in (10, 2 * BATCH_BYTES_MAX, 10):
        packer.add(tp, b"k", b"x" * size, None, ())
    sizes = [len(row[1] or b"") for _, batch in packer.batches() for row in content(batch)]
    assert sizes == [10, 2 * BATCH_BYTES_MAX, 10]


# Taken from the tests of Kafka's own Utils.murmur2, and from a Java producer's placement.
@pytest.mark.parametrize(("key", "number"), [(b"21", -973932308), (b"foobar", -790332482), (b"abc", 479470107)])
def test_keys_are_hashed_as_java_hashes_them(key: bytes, number: int) -> None:
    assert partition_of(key, 2**31 - 1) == (number & 0x7FFFFFFF) % (2**31 - 1)


@given(st.binary(max_size=40))
def test_a_key_of_any_length_is_hashed_as_the_client_hashes_it(key: bytes) -> None:
    assert murmur2(key) == client_murmur2(key)
