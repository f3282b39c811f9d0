"""Events as they happen, and when what they led to could be read.

An event that led to a transition is known by its message id, which the transition's trigger repeats. `appended` is the
moment before the client was given the event, so that what is measured includes sending it.
"""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.load import JOB_NAMES, Feed, Ranks
from benchmarks.rig import Deployment
from schemas.timestamps import format_ms

NEWCOMERS: Final = 0.02
"""Share of events that are an account's first, which leads to a transition under any of our catalogs."""
POLL_S: Final = 0.001
READ_S: Final = 0.005


class _Trigger(msgspec.Struct):
    message_id: str


class _Seen(msgspec.Struct):
    trigger: _Trigger | str


_decode: Final = msgspec.json.Decoder(_Seen).decode


class Part(Protocol):
    """Something that works in a thread of its own until it is over."""

    @property
    def over(self) -> threading.Event: ...

    def run(self) -> None: ...


@dataclass
class Load:
    """Activity at a steady rate: of a population, and of accounts that nobody has seen before."""

    made: Deployment
    rate: int
    accounts: int
    seed: int = 7
    appended: dict[str, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        rng, ranks = random.Random(f"pegel-live-{self.seed}"), Ranks(self.accounts)
        names, shares = list(JOB_NAMES), list(JOB_NAMES.values())
        feed = Feed(self.made.broker.bootstrap, self.made.input_topic, linger_ms=0)
        began, number = time.monotonic(), 0
        while not self.over.is_set():
            due = int((time.monotonic() - began) * self.rate)
            while number < due:
                is_new = rng.random() < NEWCOMERS
                account = f"new-{self.seed}-{number}" if is_new else f"acct-{ranks.draw(rng.random())}"
                self._send(feed, f"{self.seed}-{number}", account, rng.choices(names, shares)[0])
                number += 1
            feed.poll(POLL_S)
        feed.close()

    def _send(self, feed: Feed, message_id: str, account: str, name: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        event = {
            "type": "track", "messageId": message_id, "userId": f"u-{account}", "event": name,
            "timestamp": format_ms(now_ms), "context": {"groupId": account},
            "properties": {"source": "web", "duration_ms": now_ms & 0xFFF, "plan": "team"},
        }  # fmt: skip
        raw = json.dumps(event, separators=(",", ":")).encode()
        self.appended[message_id] = time.monotonic()
        feed.send(account.encode(), raw, now_ms)


@dataclass
class Reader:
    """The first moment at which a transition that an event led to could be read, by the event's message id."""

    made: Deployment
    readable: dict[str, float] = field(default_factory=dict)
    transitions: int = 0
    latest_written_ms: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        consumer = Consumer({
            "bootstrap.servers": self.made.broker.bootstrap, "group.id": "bench-live", "enable.auto.commit": False,
            "isolation.level": "read_committed", "fetch.wait.max.ms": 10,
        })  # fmt: skip
        numbers = range(self.made.settings.kafka.partitions)
        consumer.assign([TopicPartition(self.made.topics.transitions, number, 0) for number in numbers])
        while not self.over.is_set():
            for message in consumer.consume(1_000, READ_S):
                if message.error() is None:
                    self._note(message.value(), message.timestamp()[1])
        consumer.close()

    def _note(self, value: bytes, written_ms: int) -> None:
        self.transitions += 1
        self.latest_written_ms = max(self.latest_written_ms, written_ms)
        trigger = _decode(value).trigger
        if isinstance(trigger, _Trigger):
            self.readable.setdefault(trigger.message_id, time.monotonic())


@contextmanager
def running(*parts: Part) -> Iterator[None]:
    """All of them at work for the time of the block; the first ones end first."""
    threads = [threading.Thread(target=part.run) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for part, thread in zip(parts, threads, strict=True):
            part.over.set()
            thread.join()
