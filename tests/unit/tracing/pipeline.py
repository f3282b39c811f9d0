"""All four stages in one process, a partition each, over lists instead of topics."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streams.engagement import agent as engagement
from streams.intake import agent as intake
from streams.notify.courier import agent as courier
from streams.notify.router import agent as router
from streams.runtime.partition import Partition
from streams.runtime.stage import StageSpec
from streams.runtime.transaction import Transaction
from streams.settings import EngagementSettings, NotifySettings, Settings
from streams.topics import Topics
from streams.tracing.outbox import SpanOutbox
from streams.tracing.spans import Topic
from streams.tracing.writer import TracedWriter

TOPICS = Topics()
WITHIN_S = 20.0

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Record:
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers = ()


@dataclass
class Log:
    """Topics of one partition each."""

    topics: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def append(self, topic: str, key: bytes | None, value: bytes | None, at_ms: int, headers: Headers = ()) -> None:
        records = self.topics[topic]
        records.append(Record(len(records), key, value, at_ms, list(headers)))


class LogWriter:
    def __init__(self, log: Log) -> None:
        self._log = log
        self.commit_took_s = 0.0
        self.may_hang = False

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def end_hanging(self) -> None: ...

    async def write(self, transaction: Transaction) -> None:
        for output in transaction.outputs:
            at_ms = now_ms() if output.timestamp_ms is None else output.timestamp_ms
            self._log.append(output.topic, output.key, output.value, at_ms, output.headers)


class Worker:
    """One stage. `batch`: so many records are applied at once."""

    def __init__(self, spec: StageSpec, log: Log, outbox: SpanOutbox | None) -> None:
        self.spec = spec
        self._log = log
        self._next = 0
        writer = LogWriter(log)
        traced = writer if outbox is None else TracedWriter(
            writer, spec.name, Topic(spec.input_topic, f"pegel.{spec.name}"), 0, outbox.give, outbox.lose
        )  # fmt: skip
        self.partition = Partition(0, spec.factory(0), traced)
        self.partition.stage.restored()
        self.partition.active = True
        self.partition.begin_epoch(1)

    async def work(self, batch: int = 1_000) -> bool:
        """Apply what is new, and flush; whether there was anything."""
        records = self._log.topics[self.spec.input_topic][self._next : self._next + batch]
        if records:
            self.partition.hold(records, now_ms())
            self.partition.take(self.partition.release())
            self._next += len(records)
        self.partition.stage.on_tick(now_ms(), caught_up=False)
        transaction = self.partition.capture()
        if transaction is not None:
            await self.partition.writer.write(transaction)
            self.partition.committed = transaction.position
        return bool(records) or transaction is not None


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def pipeline(playbook: Path | None, outbox: SpanOutbox | None) -> AsyncIterator[tuple[Log, list[Worker]]]:
    settings = Settings(
        engagement=EngagementSettings(clock="off"), notify=NotifySettings(playbooks=playbook, max_age_h=None)
    )
    log = Log()
    told = courier.stage_spec(settings, TOPICS, lambda *_: 1)
    assert told.lifespan is not None
    specs = [agent.stage_spec(settings, TOPICS) for agent in (intake, engagement, router)]
    async with told.lifespan():
        workers = [Worker(spec, log, outbox) for spec in (*specs, told)]
        yield log, workers
        for worker in workers:
            worker.partition.stage.close()


async def settle(workers: Iterable[Worker], done: Callable[[], bool] = lambda: True, batch: int = 1_000) -> None:
    """Work until nothing is left and `done`."""
    end_s = time.monotonic() + WITHIN_S
    while True:
        busy = [await worker.work(batch) for worker in workers]
        if not any(busy) and done():
            return
        assert time.monotonic() < end_s, "it does not come to an end"
        await asyncio.sleep(0.01)
