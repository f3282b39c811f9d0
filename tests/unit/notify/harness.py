"""The stages with a desk of their own and a log that only knows what was flushed: what a crash leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from schemas.inbox import Command, CommandKind, command_record
from schemas.playbook import Destination, Play, Playbook, Template
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, ok
from streams.errors import ExpectedError
from streams.notify.courier.outbox import Found, Wanted
from streams.notify.courier.reading import spilled_in
from streams.notify.courier.stage import CourierConfig, CourierStage
from streams.notify.deliver.desk import Desk
from streams.notify.plan.planner import RosterMember, RosterRequest
from streams.notify.plan.render import Words
from streams.notify.playbooks import Playbooks
from streams.notify.playbooks.standard import STANDARD
from streams.notify.router.interest import Interests
from streams.notify.router.stage import RouterStage
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
    kind = ConnectorType("slack", FakeDestination, Dialect.PLAIN, lambda _: FakeConnector(), deduplicates=False)

    def type_of(self, destination: str) -> ConnectorType:
        return self.kind


def playbooks(
    plays: Sequence[Play] | None = None, body: str = "{{ account }}", names: Sequence[str] = ("team",), **kind: Any
) -> Playbooks:
    words = Words(Template(title="{{ account }} {{ segment }}", body=body), Dialect.PLAIN)
    chosen = tuple(plays or [play(id=name, destination=name, segments=["*"]) for name in names])
    books = FakePlaybooks(
        chosen,
        {name: FakeDestination(id=name, type="fake", in_flight_max=4) for name in names},
        {("plain", Dialect.PLAIN): words}
        | {(name, Dialect.PLAIN): Words(template, Dialect.PLAIN) for name, template in STANDARD.items()},
        playbook=Playbook(format=1, name="test", plays=chosen),
    )
    books.__dict__["kind"] = replace(FakePlaybooks.kind, **kind)
    return books


class RowsRead:
    """Readings of what was flushed, as another worker would find it."""

    def __init__(self, rows: Mapping[bytes, bytes], members: Sequence[RosterMember]) -> None:
        self._rows = rows
        self._members = members
        self.wanted: list[Wanted] = []
        self.failures = 0
        """So many readings from now on are broken off."""

    def spilled(self, wanted: Wanted) -> Found:
        self._break_off()
        self.wanted.append(wanted)
        return spilled_in([Row(key, value) for key, value in self._rows.items()], wanted)

    def members(self, request: RosterRequest) -> list[RosterMember]:
        self._break_off()
        return list(self._members)

    def _break_off(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ExpectedError("the brokers do not answer")

    def stop(self) -> None:
        pass


@dataclass(frozen=True)
class Row:
    """A row as the client gives it."""

    name: bytes
    content: bytes | None

    def key(self) -> bytes:
        return self.name

    def value(self) -> bytes | None:
        return self.content


class Harness:
    """Router and courier, a partition each. `flush` is a committed transaction; `crashed` is what a kill leaves."""

    def __init__(self, connectors: dict[str, FakeConnector], books: Playbooks | None = None) -> None:
        self.connectors = connectors
        self.books = books or playbooks(names=tuple(connectors))
        self.clock = FakeClock()
        self.rows: dict[bytes, bytes] = {}
        self.written = 0
        """Transitions."""
        self.log: list[Record] = []
        """The inbox."""
        self.outputs: list[Output] = []
        self.committed = 0
        self.applied = 0
        self.roster: list[RosterMember] = []
        self.stage: CourierStage
        self.desk: Desk

    @asynccontextmanager
    async def worker(self, max_age_h: float | None = 24) -> AsyncIterator["Harness"]:
        destinations = {
            name: (config, self.books.type_of(name), self.connectors[name])
            for name, config in self.books.destinations.items()
        }
        self.desk = Desk(destinations, self.books.write, self.clock, self.books.opens())
        async with self.desk.open():
            self.stage = self.new_stage(max_age_h)
            yield self
            self.stage.close()

    def new_stage(self, max_age_h: float | None = 24) -> CourierStage:
        self.readings = RowsRead(self.rows, self.roster)
        config = CourierConfig(
            self.desk, self.books, TOPICS, max_age_h, self.clock, lambda _: self.readings, lambda _: self.connectors
        )
        stage = CourierStage(0, config)
        for key, row in self.rows.items():
            stage.restore(key, row)
        stage.restored()
        self.applied = self.committed
        return stage

    def write(self, *values: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None = None) -> None:
        """Transitions, which the router gives to the destinations."""
        plans = [self.books.plan(name, None) for name in self.books.destinations]
        router = RouterStage(0, Interests(plans), self.books.destinations.keys(), TOPICS)
        for value in values:
            record = Record(self.written, value)
            router.apply([record if headers is None else replace(record, headers=headers)])
            self.written += 1
        for output in router.drain().outputs:
            if output.topic == TOPICS.inbox:
                self.append(output.key, output.value, output.headers)
            else:
                self.outputs.append(output)

    def append(self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> None:
        """A record of the inbox."""
        self.log.append(Record(len(self.log), value, key, self.clock.now_ms, headers))

    def command(self, kind: CommandKind, destination: str | None = "team", **fields: Any) -> None:
        header, value = command_record(kind, Command(at_ms=self.clock.now_ms, by="ann", **fields))
        self.append(None if destination is None else destination.encode(), value, [header])

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
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.outputs += drained.outputs
        self.committed = position

    def delivery_rows(self) -> dict[str, bytes]:
        """Rows of open deliveries by delivery id."""
        return {key.decode().split(":", 2)[2]: row for key, row in self.rows.items() if key.startswith(b"d:")}

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
        reading = self.stage._background._task
        if reading is not None:
            await asyncio.wait([reading])

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
