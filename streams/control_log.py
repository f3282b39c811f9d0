"""Control records by command: another catalog, an account or user to be forgotten, a word to the courier.

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
from schemas.inbox import Command, CommandKind, command_record
from streams.engine.program import Program
from streams.kafka_client import Complaints, absent, producer, reaching, timeout_s
from streams.runtime.partitioner import partition_of
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
    content = Record(topics.catalogs, msgspec.json.encode(program.content), program.version.encode(), 0)
    return _write(settings, [*_control(topics, change), content])


def erase(settings: Settings, what: Erase) -> Written:
    """Let an account or a user be forgotten. The record goes to every partition: whoever owns it forgets."""
    topics = Topics(settings.kafka.topic_prefix)
    records = _control(topics, what)
    if what.account_id is not None:
        header, value = command_record(CommandKind.FORGET, Command(at_ms=now_ms(), account=what.account_id))
        records.append(Record(topics.inbox, value, headers=(header,)))
    return _write(settings, records)


def command(settings: Settings, kind: CommandKind, what: Command, destination: str | None) -> Written:
    """Tell the courier of a destination, or of all."""
    header, value = command_record(kind, what)
    inbox = Topics(settings.kafka.topic_prefix).inbox
    key = None if destination is None else destination.encode()
    return _write(settings, [Record(inbox, value, key, headers=(header,))])


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be written: into its partition, else where its key belongs, else into every one of the topic."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def _control(topics: Topics, control: Control) -> list[Record]:
    header, value = encode_control(control)
    return [Record(topics.account_events, value, headers=(header,))]


def _write(settings: Settings, records: Sequence[Record]) -> Written:
    """All of them in one transaction. `partitions` are those of the first."""
    at_ms = now_ms()
    with reaching(settings.kafka) as complaints:
        # A name of its own: commands do not fence each other.
        name = f"{Topics(settings.kafka.topic_prefix).group(CONTROL)}.{uuid.uuid4().hex}"
        client = producer(settings.kafka, complaints, {"transactional.id": name, "enable.idempotence": True})
        client.init_transactions(TRANSACTION_TIMEOUT_S)
        places = [_places(one, _partitions(client, settings, complaints, one.topic)) for one in records]
        client.begin_transaction()
        try:
            for one, partitions in zip(records, places, strict=True):
                for partition in partitions:
                    client.produce(
                        one.topic, one.value, one.key, partition, headers=list(one.headers), timestamp=at_ms
                    )  # fmt: skip
            client.commit_transaction(TRANSACTION_TIMEOUT_S)
        except KafkaException:
            # If that fails too, it is for the same reason, and the brokers abort what is left open.
            with suppress(KafkaException):
                client.abort_transaction(TRANSACTION_TIMEOUT_S)
            raise
    return Written(len(places[0]), at_ms)


def _places(record: Record, partitions: list[int]) -> list[int]:
    if record.partition is not None:
        return [record.partition]
    return partitions if record.key is None else [partition_of(record.key, len(partitions))]


def _partitions(client: Any, settings: Settings, complaints: Complaints, topic: str) -> list[int]:
    known = client.list_topics(timeout=timeout_s(settings.kafka)).topics.get(topic)
    if known is None:
        raise absent(settings.kafka, complaints, topic)
    return sorted(known.partitions)
