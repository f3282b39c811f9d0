"""Read a topic from its beginning and write each record as a line.

Theory of operation. Only committed records are read: what an aborted transaction left behind never happened. The end
of each partition is asked for once, at the start, and the dump ends there, however fast the topic grows. Partitions
are written one after the other, each in offset order: that is all the order a topic has, and a replay needs no other.
Transactions leave markers that take up offsets and are no records, so the end of a partition is known by librdkafka's
end-of-partition event, not by the last record's offset.

A line is the JSON envelope of `kcat -J`; where bytes are no UTF-8 it has `key_base64`, `payload_base64` or
`headers_base64` instead of `key`, `payload` or `headers`.
"""

import base64
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from operator import methodcaller
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TopicPartition

from schemas.dead_letter import UNREADABLE_HEADER
from streams.errors import ExpectedError
from streams.kafka_client import Complaints, absent, consumer, reaching, timeout_s
from streams.kafka_reading import is_end, once_led, reader_config
from streams.settings import KafkaSettings

BATCH_RECORDS: Final = 1_000
BATCH_WAIT_S: Final = 0.05
CONSUMER: Final = "pegel-dump"
TIMESTAMP_TYPES: Final = {0: "unknown", 1: "create", 2: "logappend"}

_encode = msgspec.json.Encoder().encode
_ask_headers = methodcaller("headers")


class TopicReader:
    """Committed records of one topic."""

    def __init__(self, kafka: KafkaSettings, topic: str, partitions: Sequence[int] | None = None) -> None:
        self._kafka = kafka
        self._topic = topic
        self._wanted = partitions

    def records(self, *, from_beginning: bool = True, follow: bool = False) -> Iterator[Any]:
        """Messages partition by partition up to the end as it is now; with `follow` then whatever comes, for ever."""
        # Closed last: a client that is closed can no longer be asked what it complained about.
        with ExitStack() as stack, reaching(self._kafka) as complaints:
            client = consumer(self._kafka, complaints, reader_config(CONSUMER))
            stack.callback(client.close)
            partitions = self._partitions(client, complaints)
            positions = dict.fromkeys(partitions, OFFSET_BEGINNING if from_beginning else OFFSET_END)
            if from_beginning:
                for partition in partitions:
                    positions[partition] = yield from self._to_end(client, partition)
            if follow:
                yield from self._on_and_on(client, positions)

    def extents(self) -> dict[int, tuple[int, int]]:
        """First offset and end of each partition."""
        with ExitStack() as stack, reaching(self._kafka) as complaints:
            client = consumer(self._kafka, complaints, reader_config(CONSUMER))
            stack.callback(client.close)
            return {partition: self._extent(client, partition) for partition in self._partitions(client, complaints)}

    def _partitions(self, client: Any, complaints: Complaints) -> list[int]:
        # Asked for by name, a topic may come into being.
        known = client.list_topics(timeout=timeout_s(self._kafka)).topics.get(self._topic)
        if known is None:
            raise absent(self._kafka, complaints, self._topic)
        present = sorted(known.partitions)
        if self._wanted is None:
            return present
        missing = sorted(set(self._wanted) - set(present))
        if missing:
            raise ExpectedError(f"topic {self._topic} has no partition {missing[0]}, only 0 to {present[-1]}")
        return sorted(set(self._wanted))

    def _to_end(self, client: Any, partition: int) -> Generator[Any, None, int]:
        """Yields the partition's records, returns the offset after them."""
        low, end = self._extent(client, partition)
        if low >= end:
            return end
        client.assign([TopicPartition(self._topic, partition, low)])
        next_offset = low
        while next_offset < end:
            for message in client.consume(BATCH_RECORDS, BATCH_WAIT_S):
                if is_end(message):
                    return max(end, int(message.offset()))
                if message.offset() >= end:
                    return end
                next_offset = message.offset() + 1
                yield message
        return end

    def _extent(self, client: Any, partition: int) -> tuple[int, int]:
        """First offset and end."""
        tp, patience_s = TopicPartition(self._topic, partition), timeout_s(self._kafka)
        low, end = once_led(client, self._kafka, lambda: client.get_watermark_offsets(tp, timeout=patience_s))
        return int(low), int(end)

    def _on_and_on(self, client: Any, positions: dict[int, int]) -> Iterator[Any]:
        client.assign([TopicPartition(self._topic, partition, offset) for partition, offset in positions.items()])
        while True:
            for message in client.consume(BATCH_RECORDS, BATCH_WAIT_S):
                if not is_end(message):
                    yield message


def headers_of(message: Any) -> list[tuple[str, bytes | None]]:
    """A record's headers; one that says so if a name is no UTF-8, for then the client gives none of them.

    Nothing else may ask a message for its headers. The client (confluent-kafka 2.16) raises the error and returns a
    list with a null pointer in it all the same: asked directly, the interpreter may see the error later and elsewhere,
    and whoever touches that list ends the process.
    """
    try:
        return list(_ask_headers(message) or ())
    except (SystemError, UnicodeDecodeError):
        message.set_headers([(UNREADABLE_HEADER, b"headers: one or more with a name that is no UTF-8")])
        return list(_ask_headers(message))


def line_of(message: Any) -> bytes:
    """One record as JSON, without the line's end."""
    kind, at_ms = message.timestamp()
    headers = headers_of(message)
    envelope: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "tstype": TIMESTAMP_TYPES.get(kind, "unknown"),
        "ts": at_ms,
    }
    flat = [one for name, value in headers for one in (name.encode(), value)]
    texts = [_text(one) for one in flat]
    if any(text is None and one is not None for text, one in zip(texts, flat, strict=True)):
        envelope["headers_base64"] = [_base64(one) for one in flat]
    else:
        envelope["headers"] = texts
    for name, raw in (("key", message.key()), ("payload", message.value())):
        text = _text(raw)
        if text is None and raw is not None:
            envelope[f"{name}_base64"] = _base64(raw)
        else:
            envelope[name] = text
    return _encode(envelope)


def _text(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()
