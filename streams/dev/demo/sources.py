"""Where the demo's figures come from: the output topics, and the workers' metrics page."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from schemas.membership import decode_membership
from schemas.transition import decode_transition
from streams.dev.demo.board import Board
from streams.errors import ExpectedError
from streams.kafka_client import consumer, reaching
from streams.settings import KafkaSettings
from streams.topics import Topics

BATCH_RECORDS: Final = 2_000
POLL_S: Final = 0.1
HTTP_TIMEOUT_S: Final = 2.0
ANSWER_BYTES_MAX: Final = 1 << 20


def watch_topics(
    kafka: KafkaSettings,
    topics: Topics,
    board: Board,
    lock: threading.Lock,
    stop: threading.Event,
    on_transition: Callable[[Any], None],
) -> None:
    """Read transitions and memberships into the board until `stop`; blocks."""
    with reaching(kafka) as complaints:
        client = consumer(kafka, complaints, {"isolation.level": "read_committed", "group.id": "pegel-demo-board"})
        known = client.list_topics(timeout=10).topics
        client.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (topics.transitions, topics.membership)
                for partition in known[topic].partitions
            ]
        )
        try:
            while not stop.is_set():
                for message in client.consume(BATCH_RECORDS, POLL_S):
                    if message.error() is not None:
                        _raise_if_fatal(message.error())
                    elif message.value() is not None:
                        _add(message, topics, board, lock, on_transition)
        finally:
            client.close()


def _add(
    message: Any, topics: Topics, board: Board, lock: threading.Lock, on_transition: Callable[[Any], None]
) -> None:
    if message.topic() == topics.membership:
        membership = decode_membership(message.value())
        with lock:
            board.add_membership(membership)
        return
    transition = decode_transition(message.value())
    with lock:
        board.add_transition(transition)
    on_transition(transition)


def _raise_if_fatal(error: Any) -> None:
    if error.code() != KafkaError._PARTITION_EOF and not error.retriable():  # noqa: SLF001 - the library's own name
        raise ExpectedError(f"reading the demo's topics failed: {error.str()}")


class WorkerPages:
    """The health and metrics pages of the workers of one demo, by stage."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports

    def is_ready(self) -> bool:
        return all(self._ready(port).get("ready") is True for port in self._ports.values())

    def lag(self) -> int | None:
        """Records that some stage has still to apply; None while one of them cannot say."""
        total = 0
        for port in self._ports.values():
            for partition in self._ready(port).get("partitions", [{"lag": None}]):
                if partition.get("lag") is None:
                    return None
                total += partition["lag"]
        return total

    def metric(self, stage: str, name: str) -> float:
        """The sum of a metric's series; 0 while the page does not answer."""
        text = self._get(self._ports[stage], "/metrics").decode()
        lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def _ready(self, port: int) -> dict[str, Any]:
        try:
            found = json.loads(self._get(port, "/readyz") or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @staticmethod
    def _get(port: int, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=HTTP_TIMEOUT_S) as answer:
                page: bytes = answer.read(ANSWER_BYTES_MAX)
                return page
        except urllib.error.HTTPError as error:  # not ready is 503, with the same body
            return error.read(ANSWER_BYTES_MAX)
        except OSError:
            return b""


def wait_until(condition: Callable[[], bool], timeout_s: float, stop: threading.Event, every_s: float = 0.2) -> bool:
    """Whether the condition held before the time-out or `stop`."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end or stop.wait(every_s):
            return False
    return True
