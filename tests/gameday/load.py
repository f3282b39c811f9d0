"""Events as producers send them, all the time: accounts that use the product, and now and then a new one.

What goes wrong with producers is a dial: bad records among the good ones, a clock that is ahead, an account that makes
most of the traffic. Producers keep what the brokers do not take and send it again, as any that is worth its name.
"""

import json
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Producer

from schemas.timestamps import format_ms
from streams.control_log import now_ms

TICK_S: Final = 0.1
EVENTS_PER_S: Final = 30
ACCOUNTS: Final = 40
USERS: Final = 5
NEW_ACCOUNT_EVERY_S: Final = 4.0
"""Slack takes a message a second: after an outage there is time to catch up."""
NAMES: Final = ("page_viewed", "search_run", "file_opened", "comment_written")
HOT_ACCOUNT: Final = "default"
DELIVERED_WITHIN_MS: Final = 600_000
BUFFERED_MAX: Final = 1_000_000
FLUSH_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Dials:
    """How producers misbehave."""

    bad_share: float = 0.0
    ahead_share: float = 0.0
    ahead_ms: int = 0
    hot_per_s: int = 0


WELL: Final = Dials()


class Load:
    def __init__(self, bootstrap: str, topic: str, seed: int) -> None:
        self.dials = WELL
        self.acknowledged: Counter[int] = Counter()
        """Hashes of what the brokers say they have."""
        self._topic = topic
        self._random = random.Random(seed)
        self._users = 0
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random",
                "message.timeout.ms": DELIVERED_WITHIN_MS, "queue.buffering.max.messages": BUFFERED_MAX,
                "linger.ms": 20, "log_level": 0,
            }
        )  # fmt: skip
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Return when the brokers have all of it."""
        self._ended.set()
        self._thread.join(30)
        assert self._producer.flush(FLUSH_S) == 0, "the brokers do not take what producers have"

    def _work(self) -> None:
        next_account_s = next_s = time.monotonic()
        while not self._ended.wait(max(0.0, next_s - time.monotonic())):
            next_s += TICK_S
            dials = self.dials
            for _ in range(round(EVENTS_PER_S * TICK_S)):
                self._send_one(dials)
            for _ in range(round(dials.hot_per_s * TICK_S)):
                self._users += 1
                self._send(self._track(HOT_ACCOUNT, f"user-{self._users}", f"event-{self._users}", 0))
            if time.monotonic() >= next_account_s:
                next_account_s += NEW_ACCOUNT_EVERY_S
                self._send(self._new_account())
            self._producer.poll(0)

    def _send_one(self, dials: Dials) -> None:
        if self._random.random() < dials.bad_share:
            key = b"user-%d" % self._random.randrange(ACCOUNTS * USERS)  # in every partition, so none has too many
            self._send((key, bad_record(self._random.randrange(3))))
            return
        ahead_ms = dials.ahead_ms if self._random.random() < dials.ahead_share else 0
        account = f"account-{self._random.randrange(ACCOUNTS)}"
        user = f"{account}-user-{self._random.randrange(USERS)}"
        self._send(self._track(account, user, self._random.choice(NAMES), ahead_ms))

    def _track(self, account: str, user: str, name: str, ahead_ms: int) -> tuple[bytes, bytes]:
        return self._event(
            user, {"type": "track", "event": name, "context": {"groupId": account}, "properties": {}}, ahead_ms
        )

    def _new_account(self) -> tuple[bytes, bytes]:
        account = f"new-{uuid.uuid4().hex[:12]}"
        return self._event(account, {"type": "group", "groupId": account, "traits": {"name": account.title()}}, 0)

    @staticmethod
    def _event(user: str, event: dict[str, Any], ahead_ms: int) -> tuple[bytes, bytes]:
        full = {**event, "userId": user, "messageId": uuid.uuid4().hex, "timestamp": format_ms(now_ms() + ahead_ms)}
        return user.encode(), json.dumps(full).encode()

    def _send(self, record: tuple[bytes, bytes]) -> None:
        key, value = record
        self._producer.produce(self._topic, value, key, on_delivery=self._noted)

    def _noted(self, error: Any, message: Any) -> None:
        if error is None:
            self.acknowledged[hash(message.value())] += 1


def bad_record(kind: int) -> bytes:
    """Three ways to be refused, no two records alike."""
    mark = uuid.uuid4().hex
    if kind == 0:
        return f'{{"type":"track","broken":"{mark}'.encode()
    if kind == 1:
        return json.dumps({"type": "sing", "messageId": mark}).encode()
    return json.dumps({"type": "track", "event": "seen", "messageId": mark, "userId": f"nobody-{mark}"}).encode()
