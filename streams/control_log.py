"""Control records by command: a catalog that applies from here on, an account or user to be forgotten.

All records of one command are one Kafka transaction: in every partition they are there, or in none. They are stamped
with the time of writing, which is their arrival in the log. What a command did can be read back from the log itself.
"""

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaException

from schemas.control import CatalogChange, Control, Erase, encode_control
from streams.engine.program import Program
from streams.kafka_client import Complaints, absent, producer, reaching, timeout_s
from streams.security.roles import CONTROL
from streams.settings import Settings
from streams.topics import Topics

TRANSACTION_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Written:
    """What a command wrote: into so many partitions of the log, at this time (ms UTC)."""

    partitions: int
    at_ms: int


def apply_catalog(settings: Settings, program: Program, *, announce: bool) -> Written:
    """Let a catalog apply from here on in every partition; its content goes to the catalogs topic too."""
    topics = Topics(settings.kafka.topic_prefix)
    change = CatalogChange(version=program.version, announce=announce, content=program.content)
    content = (topics.catalogs, 0, program.version.encode(), msgspec.json.encode(program.content))
    return _write(settings, topics, change, [content])


def erase(settings: Settings, what: Erase) -> Written:
    """Let an account or a user be forgotten. The record goes to every partition: whoever owns it forgets."""
    return _write(settings, Topics(settings.kafka.topic_prefix), what, [])


def _write(
    settings: Settings, topics: Topics, control: Control, more: Sequence[tuple[str, int, bytes, bytes]]
) -> Written:
    header, value = encode_control(control)
    at_ms = time.time_ns() // 1_000_000
    with reaching(settings.kafka) as complaints:
        # A name of its own: commands do not fence each other.
        name = f"{topics.group(CONTROL)}.{uuid.uuid4().hex}"
        client = producer(settings.kafka, complaints, {"transactional.id": name, "enable.idempotence": True})
        client.init_transactions(TRANSACTION_TIMEOUT_S)
        partitions = _partitions(client, settings, complaints, topics.account_events)
        client.begin_transaction()
        try:
            for partition in partitions:
                client.produce(topics.account_events, value, partition=partition, headers=[header], timestamp=at_ms)
            for topic, partition, key, content in more:
                client.produce(topic, content, key, partition=partition)
            client.commit_transaction(TRANSACTION_TIMEOUT_S)
        except KafkaException:
            # If that fails too, it is for the same reason, and the brokers abort what is left open.
            with suppress(KafkaException):
                client.abort_transaction(TRANSACTION_TIMEOUT_S)
            raise
    return Written(len(partitions), at_ms)


def _partitions(client: Any, settings: Settings, complaints: Complaints, topic: str) -> list[int]:
    known = client.list_topics(timeout=timeout_s(settings.kafka)).topics.get(topic)
    if known is None:
        raise absent(settings.kafka, complaints, topic)
    return sorted(known.partitions)
