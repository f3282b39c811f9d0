"""A transaction that stands open in logs though its coordinator takes it for ended: restarted brokers left such."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.dev.broker import Broker
from streams.runtime.producer import _Sender
from streams.runtime.transaction import TransactionalWriter
from tests.kafka.test_producer import flush, outcome, prefix, writer_of  # noqa: F401 - a fixture
from tests.kafka.toy import Toy

pytestmark = pytest.mark.kafka

VERIFICATION = "transaction.partition.verification.enable"
KNOWN_WITHIN_S = 30.0
LOOK_S = 0.2


@pytest.fixture
def toy(kafka: Broker, topic_prefix: str) -> Iterator[Toy]:
    deployment = Toy(kafka.bootstrap, topic_prefix)
    deployment.create_topics()
    yield deployment
    deployment.end()


@pytest.fixture
def unverified(kafka: Broker) -> Iterator[None]:
    """The broker does not ask the coordinator whether a transaction is under way."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def alter(operation: AlterConfigOpType) -> None:
        entry = ConfigEntry(VERIFICATION, "false", incremental_operation=operation)
        resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
        for altered in admin.incremental_alter_configs([resource]).values():
            altered.result()

    def value() -> str:
        (described,) = admin.describe_configs([ConfigResource(ResourceType.BROKER, "1")]).values()
        return str(described.result()[VERIFICATION].value)

    alter(AlterConfigOpType.SET)
    give_up_at = time.monotonic() + KNOWN_WITHIN_S
    while value() != "false":
        assert time.monotonic() < give_up_at
        time.sleep(LOOK_S)
    time.sleep(LOOK_S)  # known is not yet done
    yield
    alter(AlterConfigOpType.DELETE)


async def leave_open(toy: Toy, partition: int) -> None:
    """Write as the partition's owner, without telling the coordinator."""
    changelog = TopicPartition(f"{toy.prefix}changelog", partition)
    producer = AIOKafkaProducer(bootstrap_servers=toy.bootstrap, transactional_id=f"{toy.prefix}toy.{partition}")
    await producer.start()
    await producer.begin_transaction()
    producer._txn_manager._txn_partitions.add(changelog)
    await producer.send_and_wait(changelog.topic, b"999999", key=b"key-0", partition=partition)
    await kill(producer)


async def kill(producer: AIOKafkaProducer) -> None:
    """Nothing is ended."""
    producer._sender._sender_task.cancel()
    await asyncio.wait([producer._sender._sender_task])
    await producer.client.close()
    producer._closed = True


def test_what_no_coordinator_knows_of_is_ended_before_a_load_and_none_of_it_is_read(toy: Toy, unverified: None) -> None:
    toy.produce(2_000)
    first = toy.worker()
    first.ready()
    toy.wait_until_done()
    first.kill()
    first.wait()
    for partition in range(4):
        asyncio.run(leave_open(toy, partition))
    toy.produce(2_000)
    second = toy.worker()
    second.ready()
    toy.wait_until_done()
    toy.assert_exact()


@pytest.fixture
def first_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the second one a broker announces what it takes, so nothing could be kept from the coordinator."""

    async def never(_: _Sender) -> bool:
        return False

    monkeypatch.setattr(_Sender, "_ask_for_protocol", never)


async def let_hang(writer: TransactionalWriter, prefix: str, number: int, *, is_commit: bool) -> None:  # noqa: F811
    """A flush whose end only the group hears of, as when the coordinator came back and forgot the other places."""
    producer, packer, given = writer._producer, writer._packer(), flush(prefix, number)
    await producer._sender.all_have_heard()  # or the end of the flush before would come in between
    await producer.begin_transaction()
    await writer._pack_outputs(packer, given.outputs)
    await writer._pack_rows(packer, given.changes)
    producer._txn_manager._txn_partitions |= {place for place, _ in packer.batches()}
    await writer._delivered(packer.batches())
    offsets = {TopicPartition(f"{prefix}in", 0): OffsetAndMetadata(number, "")}
    await producer.send_offsets_to_transaction(offsets, writer._group)
    await (producer.commit_transaction() if is_commit else producer.abort_transaction())


async def hangs(kafka: Broker, prefix: str) -> bool:  # noqa: F811
    """Whether readers of committed records wait before the end of the outputs."""
    place, ends = TopicPartition(f"{prefix}out", 0), set()
    for isolation in ("read_committed", "read_uncommitted"):
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, isolation_level=isolation)
        await consumer.start()
        ends |= set((await consumer.end_offsets([place])).values())
        await consumer.stop()
    return len(ends) > 1


@pytest.mark.usefixtures("first_protocol", "unverified")
@pytest.mark.parametrize("is_commit", [True, False])
async def test_who_takes_over_ends_what_hangs_as_the_coordinator_had_decided(
    kafka: Broker,
    prefix: str,  # noqa: F811
    *,
    is_commit: bool,
) -> None:
    old, new = writer_of(kafka, prefix), writer_of(kafka, prefix)
    await old.start()
    await old.write(flush(prefix, 1))
    await let_hang(old, prefix, 2, is_commit=is_commit)
    assert await hangs(kafka, prefix)
    assert await outcome(kafka, prefix) == ([b"1"], 2 if is_commit else 1)
    await kill(old._producer)
    await new.start()
    assert await outcome(kafka, prefix) == (([b"1", b"2"], 2) if is_commit else ([b"1"], 1))
    await new.write(flush(prefix, 3))
    await new.stop()
    assert await outcome(kafka, prefix) == ([b"1", b"2", b"3"] if is_commit else [b"1", b"3"], 3)


@pytest.mark.usefixtures("first_protocol", "unverified")
async def test_who_lost_the_coordinator_sees_that_nothing_hangs_though_nothing_else_is_to_be_written(
    kafka: Broker,
    prefix: str,  # noqa: F811
) -> None:
    writer = writer_of(kafka, prefix)
    await writer.start()
    await let_hang(writer, prefix, 1, is_commit=True)
    assert await hangs(kafka, prefix)
    found = [writer.may_hang]
    writer._producer._sender.coordination().close()
    found.append(writer.may_hang)
    await writer.end_hanging()
    assert [*found, writer.may_hang] == [False, True, False]
    assert not await hangs(kafka, prefix)
    assert await outcome(kafka, prefix) == ([b"1"], 1)
    await writer.write(flush(prefix, 2))
    await writer.stop()
    assert await outcome(kafka, prefix) == ([b"1", b"2"], 2)


async def test_where_nothing_hangs_starting_changes_nothing(
    kafka: Broker,
    prefix: str,  # noqa: F811
) -> None:
    for number in range(3):
        writer = writer_of(kafka, prefix)
        await writer.start()
        assert not writer.may_hang
        await writer.write(flush(prefix, number))
        await writer.stop()
    assert await outcome(kafka, prefix) == ([b"0", b"1", b"2"], 2)
