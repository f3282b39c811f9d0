"""The stage with a desk of its own and a log that only knows what was flushed: what a crash leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from schemas.playbook import Destination, Play, Template
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, ok
from streams.notify.deliver.desk import Desk
from streams.notify.plan.render import Words
from streams.notify.playbooks import Playbooks
from streams.notify.stage import NotifierStage
from streams.runtime.stage import Output
from streams.topics import Topics
from tests.unit.notify.world import FakeClock, Record, play

TOPICS = Topics("t.")
TURNS = 30


class FakeDestination(Destination):
    type: Literal["fake"]
    rate_per_s: float | None = None


class FakeConnector:
    """Answers as it is told; remembers what reached it."""

    def __init__(self, answer: Callable[[Message], Outcome] = lambda _: ok()) -> None:
        self.answer = answer
        self.received: list[Message] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False

    @property
    def ids(self) -> list[str]:
        return [message.delivery_id for message in self.received]

    async def deliver(self, message: Message) -> Outcome:
        self.received.append(message)
        await self.gate.wait()
        return self.answer(message)

    async def close(self) -> None:
        self.closed = True


class FakePlaybooks(Playbooks):
    def type_of(self, destination: str) -> ConnectorType:
        return ConnectorType("slack", FakeDestination, Dialect.PLAIN, lambda _: FakeConnector(), deduplicates=False)


def playbooks(
    plays: Sequence[Play] | None = None, body: str = "{{ account }}", names: Sequence[str] = ("team",)
) -> Playbooks:
    words = Words(Template(title="{{ account }} {{ segment }}", body=body), Dialect.PLAIN)
    return FakePlaybooks(
        tuple(plays or [play(id=name, destination=name, segments=["*"]) for name in names]),
        {name: FakeDestination(id=name, type="fake", in_flight_max=4) for name in names},
        {("plain", Dialect.PLAIN): words},
    )


class Harness:
    """One partition of a worker. `flush` is a committed transaction; `crashed` is what a kill leaves."""

    def __init__(self, connectors: dict[str, FakeConnector], books: Playbooks | None = None) -> None:
        self.connectors = connectors
        self.books = books or playbooks(names=tuple(connectors))
        self.clock = FakeClock()
        self.rows: dict[bytes, bytes] = {}
        self.log: list[Record] = []
        self.outputs: list[Output] = []
        self.committed = 0
        self.applied = 0
        self.stage: NotifierStage
        self.desk: Desk

    @asynccontextmanager
    async def worker(self, max_age_h: float | None = 24) -> AsyncIterator["Harness"]:
        destinations = {name: (config, self.connectors[name]) for name, config in self.books.destinations.items()}
        self.desk = Desk(destinations, self.books.write, self.clock)
        async with self.desk.open():
            self.stage = self.new_stage(max_age_h)
            yield self
            self.stage.close()

    def new_stage(self, max_age_h: float | None = 24) -> NotifierStage:
        stage = NotifierStage(0, self.desk, self.books, TOPICS, max_age_h, self.clock)
        for key, row in self.rows.items():
            stage.restore(key, row)
        stage.restored()
        self.applied = self.committed
        return stage

    def write(self, *values: bytes | None) -> None:
        self.log += [Record(len(self.log) + number, value) for number, value in enumerate(values)]

    def read(self, most: int = 1_000) -> None:
        batch = self.log[self.applied : self.applied + most]
        if batch and not self.stage.saturated():
            self.stage.apply(batch)
            self.applied += len(batch)

    def flush(self) -> None:
        position = self.stage.position(self.applied)
        assert self.committed <= position <= self.applied
        drained = self.stage.drain()
        assert not self.stage.dirty()
        for key, row in drained.changes:
            if row is None:
                del self.rows[key]  # a tombstone for what has no row would be one too many
            else:
                self.rows[key] = row
        self.outputs += drained.outputs
        self.committed = position

    async def turn(self, after_ms: int = 0) -> None:
        """Let tasks go on until they wait."""
        self.clock.now_ms += after_ms
        for courier in self.desk._couriers.values():
            courier.wake()
        await self.turn_without_tick()
        self.stage.on_tick(self.clock.now_ms, caught_up=True)

    async def turn_without_tick(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def through(self, *values: bytes | None) -> None:
        """Write, read, deliver, flush."""
        self.write(*values)
        self.read()
        await self.turn()
        self.flush()

    def actions(self) -> list[dict[str, Any]]:
        return [json.loads(o.value or b"") for o in self.outputs if o.topic == TOPICS.actions]

    def dead_letters(self) -> list[Output]:
        return [output for output in self.outputs if output.topic == TOPICS.transitions_dlq]
