"""Who is in a consumer group, and how far it has come."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition

from streams.kafka_client import consumer, reaching, timeout_s
from streams.settings import KafkaSettings

NO_GROUP: Final = ("DEAD", ())


def described_group(admin: Any, kafka: KafkaSettings, group: str) -> tuple[str, Sequence[Any]]:
    """The group's state and its members; a group that never was is dead."""
    futures = admin.describe_consumer_groups([group], request_timeout=timeout_s(kafka))
    try:
        described = futures[group].result()
    except KafkaException as error:
        if error.args[0].name() != "GROUP_ID_NOT_FOUND":
            raise
        return NO_GROUP
    return described.state.name, described.members


def committed_offsets(kafka: KafkaSettings, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """By partition, offsets of finished transactions alone; a partition without one is left out.

    Asked as a member would, without joining: the administrative request of librdkafka 2.x ends the process where a
    cluster has never had a group.
    """
    with ExitStack() as stack, reaching(kafka) as complaints:
        client = consumer(kafka, complaints, {"group.id": group, **_ONLY_ASKING})
        stack.callback(client.close)
        asked = [TopicPartition(topic, number) for number in partitions]
        found = client.committed(asked, timeout=timeout_s(kafka))
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return {one.partition: one.offset for one in found if one.offset >= 0}


_ONLY_ASKING: Final = {"enable.auto.commit": False, "isolation.level": "read_committed"}
