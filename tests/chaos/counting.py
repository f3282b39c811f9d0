"""The counting deployment under chaos: records in at a steady rate, and the verdict from the logs themselves.

Theory of operation. What is right follows from the input topic alone: the n-th record of a key must have given the
output (n, its offset), and nothing else may be there. That the input topic is complete is shown by the producer, which
is idempotent: what was acknowledged must stand there.
"""

import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.crew import JOINED, Crew
from tests.kafka.toy import PROGRAM, ROOT

PARTITIONS: Final = 4
KEYS: Final = 60
VALUE: Final = b'{"type":"track","event":"report_created"}'
BURST_S: Final = 0.05
FLUSH_TIMEOUT_S: Final = 300.0
POLL_S: Final = 0.5
READ_TIMEOUT_S: Final = 180.0
RETRIED: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)

Read = dict[int, list[tuple[bytes, int, bytes]]]
"""Key, offset and value by partition, in order."""


@dataclass(frozen=True, slots=True)
class Counting:
    """Topics of its own, for workers that come through `door` and a test that does not."""

    bootstrap: str
    door: str
    prefix: str
    copies: int = 1
    copies_min: int = 1

    def create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        common = {"min.insync.replicas": str(self.copies_min)}
        compacted = {**common, "cleanup.policy": "compact"}
        configs = {"input": common, "totals": common, "changelog": compacted}
        topics = [NewTopic(self.prefix + name, PARTITIONS, self.copies, config=one) for name, one in configs.items()]
        for created in admin.create_topics(topics, operation_timeout=30).values():
            created.result()

    def command_of(self, name: str) -> tuple[Sequence[str], Mapping[str, str]]:
        """Workers that were there from the start are static members, those that join are not."""
        options: dict[str, Any] = {"bootstrap": self.door, "prefix": self.prefix, "flush_interval_ms": 20}
        if JOINED not in name:
            options["instance_id"] = name
        return [sys.executable, str(PROGRAM), json.dumps(options)], {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}

    def crew(self, folder: Path) -> Crew:
        return Crew(self.command_of, folder)

    def read(self, topic: str, *, committed: bool = True) -> Read:
        """Every record of a topic."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "verdict",
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        found: Read = {number: [] for number in range(PARTITIONS)}
        ended: set[int] = set()
        deadline = time.monotonic() + READ_TIMEOUT_S
        try:
            consumer.assign([TopicPartition(self.prefix + topic, one, OFFSET_BEGINNING) for one in found])
            while len(ended) < PARTITIONS:
                assert time.monotonic() < deadline, f"{topic} cannot be read"
                for message in consumer.consume(10_000, 0.5):
                    error = message.error()
                    if error is None:
                        found[message.partition()].append(
                            (message.key() or b"", message.offset(), message.value() or b"")
                        )
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
                    elif error.code() not in RETRIED:
                        raise KafkaException(error)
        finally:
            consumer.close()
        return found

    def wait_until_done(self, timeout_s: float, explain: Callable[[], str]) -> None:
        """Wait until as many outputs are committed as there are inputs; nothing may be produced any more."""
        wanted = size(self.read("input"))
        deadline = time.monotonic() + timeout_s
        while (found := size(self.read("totals"))) < wanted:
            assert time.monotonic() < deadline, f"{found} of {wanted} after {timeout_s:.0f} s:\n{explain()}"
            time.sleep(POLL_S)

    def verdict(self) -> "Verdict":
        inputs, outputs = self.read("input"), self.read("totals")
        wanted: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for records in inputs.values():
            for key, offset, _ in records:
                wanted[key].append((len(wanted[key]) + 1, offset))
        for records in outputs.values():
            for key, _, value in records:
                output = json.loads(value)
                found[key].append((output["total"], output["offset"]))
        wrong = tuple(
            f"{key!r}: {first_difference(found[key], wanted[key])}"
            for key in sorted(wanted.keys() | found.keys())
            if found[key] != wanted[key]
        )
        aborted = size(self.read("totals", committed=False)) - size(outputs)
        return Verdict(size(inputs), size(outputs), aborted, wrong)


@dataclass(frozen=True, slots=True)
class Verdict:
    inputs: int
    outputs: int
    aborted: int
    """Outputs of transactions that were open when their worker was ended."""
    wrong: tuple[str, ...]


def size(read: Read) -> int:
    return sum(map(len, read.values()))


def first_difference(found: Sequence[Any], wanted: Sequence[Any]) -> str:
    """Where two lists part, in words."""
    place = next((n for n, pair in enumerate(zip(found, wanted, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        place = min(len(found), len(wanted))
    part = slice(place, place + 3)
    return f"{len(found)} found, {len(wanted)} wanted; at {place}: {found[part]}, not {wanted[part]}"


class Feed:
    """Records at a steady rate, each sent exactly once by an idempotent producer."""

    def __init__(self, counting: Counting) -> None:
        self._topic = f"{counting.prefix}input"
        self._producer = Producer(
            {
                "bootstrap.servers": counting.bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.timeout.ms": 300_000,
                "socket.timeout.ms": 10_000,
                "log_level": 0,
            }
        )
        self._sent = 0
        self.acknowledged = 0
        self.refused: Counter[str] = Counter()

    def send(self, records: int) -> None:
        for _ in range(records):
            self._send(b"key-%d" % (self._sent % KEYS))
            self._sent += 1
        self._producer.poll(0)

    def _send(self, key: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, VALUE, key, on_delivery=self._on_delivery)
            except BufferError:  # the brokers are away
                self._producer.poll(BURST_S)
            else:
                return

    def _on_delivery(self, error: Any, _message: Any) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.refused[error.name()] += 1

    @contextmanager
    def running(self, per_second: int) -> Iterator[None]:
        """In the background; everything is delivered when the block is left."""
        stop = threading.Event()

        def work() -> None:
            began, sent = time.monotonic(), 0
            while not stop.wait(BURST_S):
                due = int((time.monotonic() - began) * per_second)
                self.send(min(due - sent, per_second))  # after a standstill not everything at once
                sent = due

        thread = threading.Thread(target=work, name="feed", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            left = self._producer.flush(FLUSH_TIMEOUT_S)
            assert left == 0, f"{left} records were not delivered within {FLUSH_TIMEOUT_S:.0f} s"
