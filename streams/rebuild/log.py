"""Committed records of single partitions, between two offsets.

Theory of operation. Rebuilding and checking need to stop at an exact offset: the one to which a changelog says that
its rows lead. Only committed records are read, and never past the last stable offset, so nothing of an open
transaction is seen. Transaction markers and compacted records leave gaps in the offsets: the end is reached at the
first record at or beyond it, or at librdkafka's end-of-partition event.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import TopicPartition

from streams.dumping import headers_of
from streams.errors import ExpectedError
from streams.kafka_client import admin_client, consumer, reaching, timeout_s
from streams.kafka_reading import is_end, once_led, reader_config
from streams.runtime.ending import Ending
from streams.runtime.failure import RuntimeFailure
from streams.settings import KafkaSettings

BATCH_RECORDS: Final = 5_000
BATCH_WAIT_S: Final = 0.2
STALL_S: Final = 60.0
CONSUMER: Final = "pegel-log-reader"
TAIL_RECORDS: Final = 8

OnRead = Callable[[int], None]
"""Told how many offsets were passed since it was told last."""


class LogRecord(NamedTuple):
    """A record as a stage takes it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Extent:
    """What a partition holds: from the first offset to the last stable one."""

    begin: int
    end: int


class LogReader:
    """Reads one partition at a time. A context manager; connection errors become `KafkaUnreachableError`."""

    def __init__(self, kafka: KafkaSettings, on_read: OnRead = lambda _count: None) -> None:
        self._kafka = kafka
        self._on_read = on_read
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        complaints = self._stack.enter_context(reaching(self._kafka))
        self._client = consumer(self._kafka, complaints, reader_config(CONSUMER))
        self._stack.callback(self._client.close)
        self._admin = admin_client(self._kafka, complaints)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    @property
    def admin(self) -> Any:
        """For what is not about records."""
        return self._admin

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0: it does not exist."""
        known = self._client.list_topics(timeout=timeout_s(self._kafka)).topics.get(topic)
        return 0 if known is None else len(known.partitions)

    def extent(self, topic: str, partition: int) -> Extent:
        tp, patience_s = TopicPartition(topic, partition), timeout_s(self._kafka)
        low, end = once_led(
            self._client, self._kafka, lambda: self._client.get_watermark_offsets(tp, timeout=patience_s)
        )
        return Extent(int(low), int(end))

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[LogRecord]:
        """Every committed record with start <= offset < end, in order.

        Raises:
            ExpectedError: nothing came for `STALL_S`.
        """
        if start >= end:
            return
        client = self._client
        client.assign([TopicPartition(topic, partition, start)])
        passed = start
        moved = time.monotonic()
        while True:
            for message in client.consume(BATCH_RECORDS, BATCH_WAIT_S):
                if is_end(message) or message.offset() >= end:
                    self._on_read(end - passed)
                    return
                moved = time.monotonic()
                self._on_read(message.offset() + 1 - passed)
                passed = message.offset() + 1
                yield _record(message)
            if passed >= end:
                return
            if time.monotonic() - moved > STALL_S:
                raise ExpectedError(
                    f"reading {topic} partition {partition} stands still at {passed} of {end}; see: pegel doctor"
                )

    def holding(self, places: Mapping[tuple[str, int], Extent]) -> set[tuple[str, int]]:
        """Of these stretches of partitions, those with a committed record: markers of transactions fill them too.

        Raises:
            ExpectedError: nothing came for `STALL_S`.
        """
        open_, found = dict(places), set[tuple[str, int]]()
        self._client.assign([TopicPartition(*place, extent.begin) for place, extent in places.items()])
        moved = time.monotonic()
        while open_:
            for message in self._client.consume(BATCH_RECORDS, BATCH_WAIT_S):
                is_record = not is_end(message)
                place = message.topic(), message.partition()
                extent = open_.pop(place, None)
                if extent is not None and is_record and message.offset() < extent.end:
                    found.add(place)
                moved = time.monotonic()
            if time.monotonic() - moved > STALL_S:
                raise ExpectedError(f"reading {len(open_)} partitions stands still; see: pegel doctor")
        self._client.unassign()
        return found

    def ending(self, changelog: str, partition: int) -> Ending:
        """Where the state in a changelog partition ends: its last position row that counts, which is near the end.

        Raises:
            ExpectedError: a position row cannot be read.
        """
        extent = self.extent(changelog, partition)
        reach = TAIL_RECORDS
        while True:
            start = max(extent.begin, extent.end - reach)
            found = Ending(end=extent.end)
            try:
                found.look(self.records(changelog, partition, start, extent.end))
            except RuntimeFailure as error:
                raise ExpectedError(
                    f"{changelog} partition {partition}: {error}; stop its workers, delete the topic, then: pegel "
                    "topics apply, pegel rebuild"
                ) from None
            if found.found or start == extent.begin:
                return found
            reach *= 8


def _record(message: Any) -> LogRecord:
    return LogRecord(
        message.offset(), message.timestamp()[1], message.key(), message.value(), headers_of(message)
    )  # fmt: skip
