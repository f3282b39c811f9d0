"""Who is in a consumer group, and how far it has come."""

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException

from streams.kafka_client import timeout_s
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


def committed_offsets(admin: Any, kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """By partition, offsets of finished transactions alone; a partition without one is left out.

    Raises:
        KafkaException: the offset of a partition could not be told.
    """
    futures = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], require_stable=True, request_timeout=timeout_s(kafka)
    )
    found = futures[group].result().topic_partitions
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return {one.partition: one.offset for one in found if one.topic == topic and one.offset >= 0}
