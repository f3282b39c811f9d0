"""The toy deployment: topics, a producer, worker processes, and the verdict over what they wrote."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401 - a worker needs it; fail here rather than there
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PROGRAM = Path(__file__).with_name("toy_worker.py")
ROOT = Path(__file__).parents[2]
PARTITIONS = 4
READY_S = 60.0
PRODUCED_AT_ONCE_MAX = 50_000
BATCH_BYTES_MAX = 1_048_588
"""Of the outputs' topic: Kafka's own default, whatever the broker at hand has."""


class ToyProcess:
    """One worker process; its log is read all the time, so that it never blocks on a full pipe."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(options)], stderr=subprocess.PIPE, text=True, env=environment
        )
        self.lines: list[str] = []
        self._news: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            self._news.put(line)
        self._news.put(None)

    def wait_for(self, pattern: str, timeout_s: float = READY_S) -> re.Match[str]:
        """Wait for the next line of the log that matches."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                line = self._news.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} within {timeout_s} s:\n{self.log}") from None
            if line is None:
                raise AssertionError(f"ended with {self.wait()} before {pattern!r}:\n{self.log}")
            if (match := re.search(pattern, line)) is not None:
                return match

    def ready(self) -> list[int]:
        """Wait until partitions are at work, and return which."""
        return json.loads(self.wait_for(r"ready: partitions (\[.*?\])").group(1))  # type: ignore[no-any-return]

    def wait_for_applied(self, offsets: int, timeout_s: float = READY_S) -> None:
        """Wait until a worker that is ready has passed so many offsets."""
        (address,) = {found for line in self.lines for found in re.findall(r'"address":"([^"]+)"', line)}
        end = time.monotonic() + timeout_s
        passed = 0
        while passed < offsets:
            assert time.monotonic() < end, f"not {offsets} offsets within {timeout_s} s:\n{self.log}"
            with urllib.request.urlopen(f"{address}/readyz") as answer:
                passed = sum(one["next_offset"] for one in json.loads(answer.read())["partitions"])

    @property
    def log(self) -> str:
        return "".join(self.lines[-40:])

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 30.0) -> int:
        code = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def end(self) -> None:
        if self.running:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
        self._process.wait()


class Toy:
    """Topics with a prefix of their own, and what was written to them."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap, self.prefix = bootstrap, prefix
        self.produced: Counter[bytes] = Counter()
        self._workers: list[ToyProcess] = []
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5, "compression.type": "lz4"}
        )

    def create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topics = [
            NewTopic(f"{self.prefix}input", PARTITIONS, 1),
            NewTopic(f"{self.prefix}totals", PARTITIONS, 1, config={"max.message.bytes": str(BATCH_BYTES_MAX)}),
            NewTopic(f"{self.prefix}changelog", PARTITIONS, 1, config={"cleanup.policy": "compact"}),
        ]
        for created in admin.create_topics(topics).values():
            created.result()

    def produce(
        self, records: int, keys: int = 50, value: bytes = b'{"type":"track","event":"report_created"}'
    ) -> None:
        for number in range(records):
            key = b"key-%d" % (number % keys)
            self._producer.produce(f"{self.prefix}input", value, key)
            self.produced[key] += 1
            if number % 1_000 == 0:
                self._producer.poll(0)
            if number % PRODUCED_AT_ONCE_MAX == PRODUCED_AT_ONCE_MAX - 1:
                self._producer.flush(30)
        assert self._producer.flush(30) == 0

    @contextmanager
    def producing(self, per_second: int) -> Iterator[None]:
        """Produce in the background at a steady rate."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.05):
                self.produce(per_second // 20)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def worker(self, **options: Any) -> ToyProcess:
        process = ToyProcess({"bootstrap": self.bootstrap, "prefix": self.prefix, **options})
        self._workers.append(process)
        return process

    @property
    def logs(self) -> str:
        """The end of every worker's log, for a failing test."""
        return "\n---\n".join(process.log for process in self._workers)

    def end(self) -> None:
        for process in self._workers:
            process.end()

    # -- verdict -----------------------------------------------------------------------------------------------------

    def read(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Every committed record of a topic, in partition order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "verdict",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        name = f"{self.prefix}{topic}"
        consumer.assign([TopicPartition(name, number, 0) for number in range(PARTITIONS)])
        records: list[tuple[bytes, bytes]] = []
        ended: set[int] = set()
        while len(ended) < PARTITIONS:
            for message in consumer.consume(10_000, 1.0):
                if message.error() is not None:
                    ended.add(message.partition())
                else:
                    records.append((message.key() or b"", message.value() or b""))
        consumer.close()
        return records

    def totals(self) -> dict[bytes, list[int]]:
        """The running totals that were written, by key."""
        totals: dict[bytes, list[int]] = defaultdict(list)
        for key, value in self.read("totals"):
            totals[key].append(json.loads(value)["total"])
        return totals

    def wait_until_done(self, timeout_s: float = 30.0) -> None:
        """Wait until as many outputs are committed as records were produced."""
        end = time.monotonic() + timeout_s
        while sum(map(len, self.totals().values())) < self.produced.total():
            assert time.monotonic() < end, f"not done within {timeout_s} s:\n{self.logs}"
            time.sleep(0.2)

    def wait_until_seen(self, timeout_s: float = READY_S) -> None:
        """Wait until the last total of every key is there, however often."""
        end = time.monotonic() + timeout_s
        while {key: max(totals) for key, totals in self.totals().items()} != self.produced:
            assert time.monotonic() < end, f"not done within {timeout_s} s:\n{self.logs}"
            time.sleep(0.2)

    def repeats(self) -> dict[bytes, list[int]]:
        """By key, the totals that came again."""
        return {key: [n for n, times in Counter(totals).items() if times > 1] for key, totals in self.totals().items()}

    def assert_exact_once_seen(self) -> None:
        """To a reader that drops what it has seen, totals are 1, 2, ... n in order: a repeat never runs ahead."""
        totals = self.totals()
        assert {key: max(found) for key, found in totals.items()} == self.produced
        for key, found in totals.items():
            seen = 0
            for total in found:
                assert total <= seen + 1, (key, total, seen)
                seen = max(seen, total)

    def state(self) -> dict[bytes, bytes]:
        """What a loader that knows nothing of guarantees finds: the last row of each key of the stage."""
        rows = {key: value for key, value in self.read("changelog") if key and key[:1] != b"\xff"}
        return {key: value for key, value in rows.items() if value}

    def assert_exact(self) -> None:
        """Every key's totals are 1, 2, ... n: no record lost, none counted twice, none out of order."""
        totals = self.totals()
        assert totals.keys() == self.produced.keys()
        wrong = {key: (n, totals[key][-3:]) for key, n in self.produced.items() if totals[key] != list(range(1, n + 1))}
        assert not wrong
