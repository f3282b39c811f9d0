"""Put a dumped log back: `pegel dump account.events.v1` in reverse, also into another number of partitions.

Theory of operation. Into as many partitions as the dump is of, every record goes where it was, in its order. Into
another number, each account's records go to the partition that its key belongs to now; for that the partitions are
merged by arrival, a file each, so that control records stay where they were among the events:

    record                      goes to
    event                       its key's partition, in the order of its old one
    catalog, thresholds, erase  every partition, once: the copies of the old partitions are one
    clock                       every partition, unless it says nothing new
    sketch                      nowhere

A record's place in the merge is the greatest arrival before it in its partition. Clock records tell arrival too; other
control records bear the time of their writing, which says nothing about the history around them.

So every account's story stays what it was, but for its ranks among all accounts: these were taken at another place in
each old partition, and are now taken at one. Sketches stay away in either case: they have done their work, the
thresholds are in the log, and a worker that read them again would write these a second time.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from schemas.control import CONTROL_HEADER, ControlKind
from streams.errors import ExpectedError
from streams.kafka_client import producer, reaching, timeout_s
from streams.rebuild.log import LogReader
from streams.replay.envelope import Envelope, decode_envelope
from streams.replay.lines import LineReader
from streams.runtime.partitioner import partition_of
from streams.settings import Settings
from streams.topics import EVENT_BATCH_BYTES_MAX, Topics

QUEUE_WAIT_S: Final = 0.2
FLUSH_S: Final = 120.0


Placed = tuple[Envelope, Sequence[int]]
"""A record and the partitions that get it."""


class Spread:
    """Where the records of one cut belong in another."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._latest: dict[str, str | None] = {}
        self._clock = -1

    def places(self, record: Envelope) -> Sequence[int]:
        """The partitions that get a record; those of all partitions come merged."""
        kind = record.header(CONTROL_HEADER)
        if kind is None:
            return (partition_of(record.key_bytes() or b"", self._partitions),)
        if kind == ControlKind.SKETCH or not self._is_new(kind, record):
            return ()
        return range(self._partitions)

    def _is_new(self, kind: str, record: Envelope) -> bool:
        if kind == ControlKind.CLOCK:
            newer = record.ts > self._clock
            self._clock = max(self._clock, record.ts)
            return newer
        known = self._latest.get(kind)
        self._latest[kind] = record.payload
        return known != record.payload


def in_arrival_order(partitions: Iterable[Iterable[Envelope]]) -> Iterator[Envelope]:
    """Merge partitions, each in its own order."""
    for _, record in heapq.merge(*map(_timed, partitions), key=lambda timed: timed[0]):
        yield record


def _timed(records: Iterable[Envelope]) -> Iterator[tuple[int, Envelope]]:
    reached = -1
    for record in records:
        if record.header(CONTROL_HEADER) in (None, ControlKind.CLOCK):
            reached = max(reached, record.ts)
        yield reached, record


@dataclass(slots=True)
class Restored:
    """What was put back."""

    records: int = 0
    left_out: int = 0
    failed: str | None = None


def restore(settings: Settings, files: Sequence[str]) -> Restored:
    """Put the records of dump files into an empty log; raises `ExpectedError` where that cannot be."""
    topic = Topics(settings.kafka.topic_prefix).account_events
    with LogReader(settings.kafka) as reader:
        partitions = reader.partitions(topic)
        if partitions == 0:
            raise ExpectedError(f"there is no topic {topic}; create it: pegel topics apply")
        if any(reader.extent(topic, number).end for number in range(partitions)):
            raise ExpectedError(f"{topic} is not empty; delete it and create it anew: pegel topics apply")
    sources = [_records(name) for name in files]
    placed: Iterable[Placed]
    if len(files) in (1, partitions):
        placed = ((record, own_places(record, partitions)) for record in chain.from_iterable(sources))
    else:
        spread = Spread(partitions)
        merged = in_arrival_order(_one_partition(name, source) for name, source in zip(files, sources, strict=True))
        placed = ((record, spread.places(record)) for record in merged)
    return _write(settings, topic, placed)


def _records(name: str) -> Iterator[Envelope]:
    for line in LineReader([name]):
        record = decode_envelope(line.raw)
        if record is None:
            raise ExpectedError(f"{line.place}: no dumped record; make the file with: pegel dump account.events.v1")
        yield record


def _one_partition(name: str, records: Iterator[Envelope]) -> Iterator[Envelope]:
    first: int | None = None
    for record in records:
        first = record.partition if first is None else first
        if record.partition != first:
            raise ExpectedError(
                f"{name}: holds partitions {first} and {record.partition}; to change their number, dump each into a "
                "file of its own: pegel dump account.events.v1 --partition N"
            )
        yield record


def own_places(record: Envelope, partitions: int) -> Sequence[int]:
    """Where a record was, if that is where it belongs."""
    key = record.key_bytes()
    belongs = record.partition if key is None else partition_of(key, partitions)
    if record.partition >= partitions or belongs != record.partition:
        raise ExpectedError(
            f"partition {record.partition}, offset {record.offset}: of {partitions} partitions its key belongs to "
            f"{belongs}: the dump is of another number; dump each partition into a file of its own"
        )
    return () if record.header(CONTROL_HEADER) == ControlKind.SKETCH else (record.partition,)


def _write(settings: Settings, topic: str, placed: Iterable[Placed]) -> Restored:
    done = Restored()

    def delivered(error: Any, _message: Any) -> None:
        if error is None:
            done.records += 1
        else:
            done.failed = done.failed or str(error.str())

    with reaching(settings.kafka) as complaints:
        client = producer(
            settings.kafka, complaints, {"enable.idempotence": True, "message.max.bytes": EVENT_BATCH_BYTES_MAX}
        )
        client.list_topics(topic, timeout=timeout_s(settings.kafka))
        for record, numbers in placed:
            done.left_out += not numbers
            for number in numbers:
                _produce(client, topic, record, number, delivered)
            if done.failed:
                break
        rest = client.flush(FLUSH_S)
    if done.failed or rest:
        raise ExpectedError(
            f"{topic} took {done.records} records and then no more: {done.failed or 'no answer'}; delete the topic, "
            "create it anew and run this again"
        )
    return done


def _produce(client: Any, topic: str, record: Envelope, partition: int, delivered: Callable[[Any, Any], None]) -> None:
    while True:
        try:
            client.produce(
                topic, record.payload_bytes(), record.key_bytes(), partition=partition, timestamp=record.ts,
                headers=record.header_pairs(), on_delivery=delivered,
            )  # fmt: skip
        except BufferError:  # the queue is full: let the network catch up
            client.poll(QUEUE_WAIT_S)
        else:
            client.poll(0)
            return
