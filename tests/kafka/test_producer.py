"""Transactions on a real broker by either protocol: what is committed is seen, in order, and a fence holds."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.dev.broker import Broker
from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import KafkaAccess, RuntimeOptions
from streams.runtime.producer import _Sender
from streams.runtime.stage import Output
from streams.runtime.transaction import Transaction, TransactionalWriter

pytestmark = pytest.mark.kafka

COMMITS = 20


@pytest.fixture(params=["first", "second"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The broker speaks both; the first one is spoken where the cluster would not have agreed on the second."""
    if request.param == "first":

        async def never(_: _Sender) -> bool:
            return False

        monkeypatch.setattr(_Sender, "_ask_for_protocol", never)
    return str(request.param)


@pytest.fixture
def prefix(kafka: Broker, topic_prefix: str) -> Iterator[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    topics = [NewTopic(f"{topic_prefix}{name}", 1, 1) for name in ("in", "out", "changelog")]
    for made in admin.create_topics(topics).values():
        made.result()
    yield topic_prefix
    admin.delete_topics([one.topic for one in topics])


def writer_of(kafka: Broker, prefix: str) -> TransactionalWriter:
    options = RuntimeOptions(KafkaAccess(kafka.bootstrap), group=f"{prefix}group")
    return TransactionalWriter(options, f"{prefix}in", f"{prefix}changelog", 0, [f"{prefix}out"])


def flush(prefix: str, number: int) -> Transaction:
    output = Output(f"{prefix}out", b"key", b"%d" % number)
    return Transaction([output], [(b"row", b"%d" % number)], number)


async def outcome(kafka: Broker, prefix: str) -> tuple[list[bytes | None], int | None]:
    """What a reader of committed records sees, and the group's offset."""
    place = TopicPartition(f"{prefix}out", 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=f"{prefix}group", enable_auto_commit=False,
        isolation_level="read_committed", auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign([place])
        seen: list[bytes | None] = []
        while fetched := await consumer.getmany(place, timeout_ms=1_000):
            seen += (record.value for record in fetched[place])
        committed = await consumer.committed(TopicPartition(f"{prefix}in", 0))
        return seen, committed
    finally:
        await consumer.stop()


async def test_flushes_commit_in_order_and_the_groups_offset_with_them(
    kafka: Broker, prefix: str, protocol: str
) -> None:
    writer = writer_of(kafka, prefix)
    await writer.start()
    known = writer._producer._txn_manager
    assert known.implicit is (protocol == "second")
    first = known.producer_epoch
    for number in range(COMMITS):
        await writer.write(flush(prefix, number))
    assert known.producer_epoch - first == (COMMITS if protocol == "second" else 0)
    await writer.end_hanging()
    await writer.write(flush(prefix, COMMITS))
    await writer.stop()
    expected = [b"%d" % number for number in range(COMMITS + 1)]
    assert await outcome(kafka, prefix) == (expected, COMMITS)


async def test_who_was_fenced_commits_nothing(kafka: Broker, prefix: str, protocol: str) -> None:
    old, new = writer_of(kafka, prefix), writer_of(kafka, prefix)
    await old.start()
    await old.write(flush(prefix, 1))
    await new.start()
    with pytest.raises(RuntimeFailure, match="another process owns partition 0"):
        await old.write(flush(prefix, 2))
    await new.write(flush(prefix, 3))
    for writer in (old, new):
        await writer.stop()
    assert await outcome(kafka, prefix) == ([b"1", b"3"], 3)
