"""A transaction that stands open in the log though no coordinator knows of it: brokers left such after a restart."""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.dev.broker import Broker
from tests.kafka.toy import Toy

pytestmark = pytest.mark.kafka

VERIFICATION = "transaction.partition.verification.enable"


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

    alter(AlterConfigOpType.SET)
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
    producer._sender._sender_task.cancel()  # as if it was killed: nothing is ended
    await asyncio.wait([producer._sender._sender_task])
    await producer.client.close()
    producer._closed = True


def test_a_load_ends_what_stands_open_and_reads_none_of_it(toy: Toy, unverified: None) -> None:
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
    assert any("ending what may be open in it" in line for line in second.lines), second.log
