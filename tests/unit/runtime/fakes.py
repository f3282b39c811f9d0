"""A stage, a writer and records that tests can look into."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.runtime.partition import Batch, Partition
from streams.runtime.stage import Drained, InputRecord, Output
from streams.runtime.transaction import Transaction


@dataclass(frozen=True)
class FakeRecord:
    offset: int
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def records(*offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset) for offset in offsets]


def batch_of(partition: Partition, *offsets: int) -> Batch:
    """Records of these offsets, fetched and handed out at once."""
    partition.hold(records(*offsets), now_ms=0)
    return partition.release()


class FakeStage:
    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.applied: list[int] = []
        self.rows: dict[bytes, bytes | None] = {}
        self.is_restored = False
        self.closed = False
        self.full = False
        self.hold: int | None = None
        self.outputs: list[Output] = []
        self.error: Exception | None = None
        self.counts: Mapping[str, int] = {}
        self.gauges: Mapping[str, float] = {}
        self.ticks: list[bool] = []

    def restore(self, key: bytes, value: bytes | None) -> None:
        self.rows[key] = value

    def restored(self) -> None:
        self.is_restored = True

    def apply(self, records: Sequence[InputRecord]) -> None:
        if self.error is not None:
            raise self.error
        for record in records:
            self.applied.append(record.offset)
            self.outputs.append(Output("out", record.key, b"%d" % record.offset))

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        if self.error is not None:
            raise self.error
        self.ticks.append(caught_up)

    def position(self, next_offset: int) -> int:
        return next_offset if self.hold is None else self.hold

    def drain(self) -> Drained:
        drained = Drained(self.outputs, [(b"state", b"%d" % len(self.applied))] if self.outputs else [])
        self.outputs = []
        return drained

    def dirty(self) -> bool:
        return bool(self.outputs)

    def saturated(self) -> bool:
        return self.full

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeWriter:
    """Remembers what was committed. ``gate`` holds a write until it is set; ``error`` makes it fail."""

    events: list[str] = field(default_factory=list)
    committed: list[Transaction] = field(default_factory=list)
    error: BaseException | None = None
    gate: asyncio.Event | None = None
    writing: int = 0
    commit_took_s: float = 0.0
    may_hang: bool = False

    async def start(self) -> None:
        self.events.append("fence")

    async def write(self, transaction: Transaction) -> None:
        assert self.writing == 0, "two transactions at a time"
        self.writing += 1
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        self.writing -= 1
        if self.error is not None:
            raise self.error
        self.committed.append(transaction)

    async def end_hanging(self) -> None:
        self.events.append("end hanging")
        self.may_hang = False

    async def stop(self) -> None:
        self.events.append("stop")
