"""What everyone needs who reads committed records of a topic up to where it ends now, outside of any group."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streams.kafka_client import timeout_s
from streams.settings import KafkaSettings

FETCH_WAIT_MS: Final = 20
QUEUED_KIB_MAX: Final = 32 * 1024
LEADER_WAIT_S: Final = 0.1
LEADERLESS_CODES: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})

Answer = TypeVar("Answer")


def reader_config(name: str) -> dict[str, Any]:
    """The configuration of a consumer of this name."""
    return {
        "group.id": name,  # demanded by librdkafka; nothing is ever committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "fetch.wait.max.ms": FETCH_WAIT_MS,  # at a partition's end the broker answers so much later
        "queued.max.messages.kbytes": QUEUED_KIB_MAX,
    }


def is_end(message: Any) -> bool:
    """Whether this is no record but the end of its partition; an error is raised."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin with an underscore
        return True
    raise KafkaException(error)


def once_led(client: Any, kafka: KafkaSettings, ask: Callable[[], Answer]) -> Answer:
    """Ask until partitions have a leader that knows it: just made, or after a restart, they get one within moments."""
    deadline = time.monotonic() + timeout_s(kafka)
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in LEADERLESS_CODES or time.monotonic() > deadline:
                raise
            client.list_topics(timeout=timeout_s(kafka))  # learn who leads now
            time.sleep(LEADER_WAIT_S)
