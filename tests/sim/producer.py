"""A producer that behaves as aiokafka's does with a transactional id, or with none.

What it shares with the real one, because the writer rests on it: partitions are added to the transaction before a
batch is sent to them; a batch whose answer is lost is sent again under the same number; a batch that is refused fails
its own future and nothing else; commit waits until no batch is under way and does not ask how they ended; requests that
may succeed later are repeated for ever; being fenced is final. What ``streams/runtime/producer.py`` adds is here too:
the end of the last transaction is said again when it may hang.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.errors import (
    ConcurrentTransactions,
    KafkaConnectionError,
    KafkaError,
    NotCoordinatorError,
    RequestTimedOutError,
)

from tests.sim.cluster import Cluster
from tests.sim.log import NewRecord
from tests.sim.transactions import Described, Place, State

RETRIED: Final = (RequestTimedOutError, KafkaConnectionError, NotCoordinatorError, ConcurrentTransactions)
BACKOFF_S: Final = 0.02


async def repeated(ask: Callable[[], asyncio.Future[Any]]) -> Any:
    """Ask until there is an answer."""
    while True:
        try:
            return await ask()
        except RETRIED:
            await asyncio.sleep(BACKOFF_S)


class SimBatch:
    """What ``create_batch`` gives: records until it is sent."""

    def __init__(self, records_max: int) -> None:
        self.records: list[NewRecord] = []
        self._records_max = records_max

    def record_count(self) -> int:
        return len(self.records)

    def append(self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Any) -> object | None:
        if len(self.records) == self._records_max:
            return None
        self.records.append(NewRecord(key, value, timestamp, headers))
        return self


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the future of a batch gives, as far as the runtime looks at it."""

    offset: int


class SimProducer:
    def __init__(
        self,
        cluster: Cluster,
        records_max: int,
        *,
        transactional_id: str | None = None,
        transaction_timeout_ms: int = 60_000,
        **_: Any,
    ) -> None:
        self._cluster = cluster
        self._records_max = records_max
        self._id = transactional_id
        self._timeout_s = transaction_timeout_ms / 1000
        self._producer = self._epoch = -1
        self._numbers: dict[Place, int] = defaultdict(int)
        self._queue: list[tuple[Place, SimBatch, asyncio.Future[Any]]] = []
        self._added: set[Place] = set()
        self._sending: asyncio.Task[None] | None = None
        self._open = False
        self._with_group = False
        self._fatal: BaseException | None = None
        self._last: bool | None = None
        self._generation = -1
        self._is_over = False

    async def start(self) -> None:
        if self._id is None:
            self._producer, self._epoch = self._cluster.transactions.new_producer(), 0
            return
        transactions = self._cluster.transactions
        process = transactions.new_process()
        while True:
            described = await self._described()
            if described is None:
                self._last = None
            elif described.state is not State.EMPTY or self._last is None:
                self._last = described.is_commit
            try:
                found = await self._cluster.coordinated("init", transactions.init, self._id, self._timeout_s, process)
            except RETRIED:
                await asyncio.sleep(BACKOFF_S)
            else:
                self._producer, self._epoch = found
                return

    async def _described(self) -> Described | None:
        describe = self._cluster.transactions.describe
        return await repeated(lambda: self._cluster.coordinated("describe", describe, self._id))  # type: ignore[no-any-return]

    @property
    def may_hang(self) -> bool:
        return not self._is_over and self._generation != self._cluster.transactions.generation

    async def end_hanging(self, places: Iterable[Place], group: str) -> None:
        is_commit, self._last = self._last, True
        places, transactions = tuple(places), self._cluster.transactions
        while is_commit is not None and self.may_hang:
            await self.begin_transaction()
            try:
                await self._add(places, is_said_again=True)
            except KafkaError as error:
                self._fatal = error
                raise
            await self._final("add_group", transactions.add_group, self._id, self._producer, self._epoch)
            self._with_group = True
            await self._end(is_commit=is_commit, is_said_again=True)
            await self._all_have_heard()
        self._is_over = True

    async def _all_have_heard(self) -> None:
        while True:
            described = await self._described()
            if described is None or described.state is not State.ENDING:
                return
            await asyncio.sleep(BACKOFF_S)

    async def stop(self) -> None:
        """Wait for what is under way, as the real one does; an open transaction stays open."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self._cluster.partitions))

    def create_batch(self) -> SimBatch:
        return SimBatch(self._records_max)

    async def begin_transaction(self) -> None:
        assert self._fatal is None, "the producer is lost"
        assert not self._open, "a transaction is open"
        self._open = True
        self._generation, self._is_over = self._cluster.transactions.generation, False

    async def send_batch(self, batch: SimBatch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert self._open or self._id is None
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(((topic, partition), batch, future))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())
        return future

    async def _send_all(self) -> None:
        while self._queue:
            queue, self._queue = self._queue, []
            by_place: dict[Place, list[tuple[SimBatch, asyncio.Future[Any]]]] = {}
            for place, batch, future in queue:
                by_place.setdefault(place, []).append((batch, future))
            try:
                await self._add(tuple(place for place in by_place if place not in self._added))
            except KafkaError as error:
                self._fatal = error
                for _, _, future in queue:
                    future.set_exception(error)
                return
            await asyncio.gather(*(self._send(place, batches) for place, batches in by_place.items()))

    async def _add(self, places: tuple[Place, ...], *, is_said_again: bool = False) -> None:
        if self._id is None or not places:
            return
        add = self._cluster.transactions.add_partitions
        mine = self._id, self._producer, self._epoch
        await repeated(lambda: self._cluster.coordinated("add", add, *mine, places, is_said_again))
        self._added.update(places)

    async def _send(self, place: Place, batches: list[tuple[SimBatch, asyncio.Future[Any]]]) -> None:
        for batch, future in batches:
            number = self._numbers[place]
            self._numbers[place] += 1
            try:
                offset = await repeated(lambda: self._produce(place, batch, number))  # noqa: B023 - awaited right here
            except KafkaError as error:
                future.set_exception(error)
            else:
                future.set_result(Delivered(offset))

    def _produce(self, place: Place, batch: SimBatch, number: int) -> asyncio.Future[Any]:
        return self._cluster.produce(
            place, batch.records, self._producer, self._epoch, number, transactional=self._id is not None
        )

    async def send_offsets_to_transaction(self, offsets: dict[Any, Any], group: str) -> None:
        assert self._open
        transactions, by_number = self._cluster.transactions, {tp.partition: one.offset for tp, one in offsets.items()}
        await self._final("add_group", transactions.add_group, self._id, self._producer, self._epoch)
        self._with_group = True
        commit = self._cluster.group.commit_in_transaction
        await self._final("offsets", commit, self._producer, self._epoch, by_number)

    async def commit_transaction(self) -> None:
        await self._end(is_commit=True)

    async def abort_transaction(self) -> None:
        await self._end(is_commit=False)

    async def _end(self, *, is_commit: bool, is_said_again: bool = False) -> None:
        assert self._open
        if self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending])
        if self._added or self._with_group:
            end = self._cluster.transactions.end
            await self._final("end", end, self._id, self._producer, self._epoch, is_commit, is_said_again)
        self._open = self._with_group = False
        self._added.clear()

    async def _final(self, name: str, apply: Callable[..., Any], *arguments: Any) -> None:
        """Ask what the transaction cannot do without."""
        if self._fatal is not None:
            raise self._fatal
        try:
            await repeated(lambda: self._cluster.coordinated(name, apply, *arguments))
        except KafkaError as error:
            self._fatal = error
            raise
