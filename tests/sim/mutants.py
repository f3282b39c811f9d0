"""Deliberate bugs. Each is a build of a worker with one rule of the runtime broken; the simulation must tell.

They are subclasses, here and not in the product: what runs elsewhere has no switch for being wrong.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from aiokafka.structs import OffsetAndMetadata

from streams.runtime.acked import AckedWriter
from streams.runtime.assignment import Assignment, ReadCommitted
from streams.runtime.changelog import Loading
from streams.runtime.options import RuntimeOptions
from streams.runtime.partition import Batch, Partition, Verdict
from streams.runtime.position import POSITION_KEY, Row, encode_position
from streams.runtime.transaction import Transaction, TransactionalWriter, Writer
from tests.sim.cluster import CHANGELOG, INPUT, OUTPUT
from tests.sim.driver import AckedBuild, Build
from tests.sim.plan import Plan, Plot


class CommitBeforeAck(Build):
    """Commits without asking how the batches ended."""

    class Careless(TransactionalWriter):
        async def _delivered(self, batches: Any) -> list[Any]:
            for tp, batch in batches:
                future = await self._producer.send_batch(batch, tp.topic, partition=tp.partition)
                future.add_done_callback(lambda done: done.exception())
            return []

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        return self.Careless(options, INPUT, CHANGELOG, partition, [OUTPUT], new_producer)


class LoadBeforeFence(Build):
    """Reads the changelog while the last owner may still write it."""

    plot = Plot.ZOMBIE_MEETS_SUCCESSOR

    class Hasty(Assignment):
        async def _make_ready(
            self, fresh: list[Partition], read_committed: ReadCommitted, is_current: Callable[[], bool]
        ) -> None:
            loader = self._loader
            early = [Loading(partition.number, partition.stage) for partition in fresh]
            if fresh:
                await loader.load(early, is_current)

            class LoadedBefore:
                async def load(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
                    loadings[:] = early

                async def repair(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
                    await loader.repair(loadings, is_current)

            self._loader = LoadedBefore()  # type: ignore[assignment]
            try:
                await super()._make_ready(fresh, read_committed, is_current)
            finally:
                self._loader = loader

    assignment = Hasty


class SeekBeforeLoad(Build):
    """Decides where to go on before it knows the state."""

    class Eager(Assignment):
        async def load(self, numbers: Collection[int], read_committed: ReadCommitted) -> bool:
            targets = await read_committed(sorted(numbers))
            held = set(self._held)
            loaded = await super().load(numbers, read_committed)
            for partition in self._held.values() if loaded else ():
                if partition.number not in held:
                    partition.next = partition.committed = targets[partition.number] or 0
            return loaded

    assignment = Eager


class UnfencedIds(Build):
    """Every worker has transactional ids of its own: nobody ends anybody."""

    def options(self, plan: Plan, worker: str) -> RuntimeOptions:
        options = super().options(plan, worker)
        return replace(options, group=f"{options.group}.{worker}")


class TornFlush(Build):
    """Outputs and rows in one transaction, position row and offset in the next."""

    class Torn(TransactionalWriter):
        async def write(self, transaction: Transaction) -> None:
            producer = self._producer
            packer = self._packer()
            await self._pack_outputs(packer, transaction.outputs)
            await self._pack_rows(packer, transaction.changes)
            if batches := packer.batches():
                await producer.begin_transaction()
                await self._delivered(batches)
                await producer.commit_transaction()
            packer = self._packer()
            packer.add(self._changelog, POSITION_KEY, encode_position(transaction.position), None, ())
            await producer.begin_transaction()
            await self._delivered(packer.batches())
            await producer.send_offsets_to_transaction(
                {self._input: OffsetAndMetadata(transaction.position, "")}, self._group
            )
            await producer.commit_transaction()

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        return self.Torn(options, INPUT, CHANGELOG, partition, [OUTPUT], new_producer)


class StaleKept(Build):
    """Keeps the state of a partition that was somebody else's meanwhile, and fences that somebody instead."""

    plot = Plot.OWNER_RETURNS

    class Nostalgic(Assignment):
        async def load(self, numbers: Collection[int], read_committed: ReadCommitted) -> bool:
            kept = [partition for number in numbers if (partition := self._held.get(number)) is not None]
            offsets = await read_committed([partition.number for partition in kept])
            for partition in kept:
                if (offsets[partition.number] or 0) != partition.committed:
                    partition.writer = self._new_writer(partition.number)
                    await partition.writer.start()
                    partition.committed = offsets[partition.number] or 0
            return await super().load(numbers, read_committed)

    assignment = Nostalgic


class GoesOnAfterFailure(Build):
    """Builds a new producer after a failed flush and flushes on, instead of ending."""

    class Stubborn(TransactionalWriter):
        new: Callable[[], Any]

        async def write(self, transaction: Transaction) -> None:
            try:
                await super().write(transaction)
            except Exception:  # noqa: BLE001 - the bug
                self._producer = self.new()
                await self._producer.start()

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        made: dict[str, Any] = {}

        def new(**given: Any) -> Any:
            made.update(given)
            return new_producer(**given)

        writer = self.Stubborn(options, INPUT, CHANGELOG, partition, [OUTPUT], new)
        writer.new = lambda: new_producer(**made)
        return writer


class ChainUnchecked(Build):
    """Believes that what is delivered comes once, in order and complete."""

    class Trusting(Partition):
        def take(self, batch: Batch) -> Verdict:
            self._taken = batch.number - 1
            return super().take(batch)

    class Holder(Assignment):
        async def _make_ready(
            self, fresh: list[Partition], read_committed: ReadCommitted, is_current: Callable[[], bool]
        ) -> None:
            for partition in fresh:
                partition.__class__ = ChainUnchecked.Trusting
            await super()._make_ready(fresh, read_committed, is_current)

    assignment = Holder


class LateRequests(Build):
    """No bug of the runtime: a broker takes the end or the offsets of one transaction for those of the next."""

    never_late: frozenset[str] = frozenset()


class AckedAnywhere(AckedBuild):
    """Without transactions: its rows count wherever they come to stand, and it asks for no lease."""

    plot = Plot.ZOMBIE_MEETS_SUCCESSOR

    class Blind(AckedWriter):
        def _require(self, offset: int) -> None:
            self._end = offset

        async def _append(self, rows: Sequence[Row], position: int) -> None:
            packer = self._packer()
            await self._pack_rows(packer, [*rows, (POSITION_KEY, encode_position(position))])
            await self._delivered(packer.batches())

        async def write(self, transaction: Transaction) -> None:
            packer = self._packer()
            await self._pack_outputs(packer, transaction.outputs)
            await self._delivered(packer.batches())
            await self._append(transaction.changes, transaction.position)
            await self._group.commit(self._input, transaction.position)

    def acked_writer(self, *arguments: Any) -> AckedWriter:
        return self.Blind(*arguments)


class AckedStateFirst(AckedBuild):
    """Without transactions: writes the state before the outputs that it counts as written."""

    class Backwards(AckedWriter):
        async def write(self, transaction: Transaction) -> None:
            await self._append(transaction.changes, transaction.position)
            packer = self._packer()
            await self._pack_outputs(packer, transaction.outputs)
            await self._delivered(packer.batches())
            await self._group.commit(self._input, transaction.position)

    def acked_writer(self, *arguments: Any) -> AckedWriter:
        return self.Backwards(*arguments)


class Trusting(Build):
    """Takes for done what the coordinator takes for done."""

    class Writer(TransactionalWriter):
        may_hang = False

        async def end_hanging(self) -> None:
            pass

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        return self.Writer(options, INPUT, CHANGELOG, partition, [OUTPUT], new_producer)


class OnlyAtStart(Build):
    """Ends what hangs when a partition is taken over, and never again."""

    class Writer(TransactionalWriter):
        may_hang = False

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        return self.Writer(options, INPUT, CHANGELOG, partition, [OUTPUT], new_producer)


class OnlyTheChangelog(Build):
    """Ends what hangs where it would keep it from loading."""

    def writer(self, options: RuntimeOptions, partition: int, new_producer: Callable[..., Any]) -> Writer:
        return TransactionalWriter(options, INPUT, CHANGELOG, partition, [], new_producer)


MUTANTS: Final[dict[type[Build], int]] = {
    CommitBeforeAck: 200,
    LoadBeforeFence: 2_000,
    SeekBeforeLoad: 300,
    UnfencedIds: 200,
    TornFlush: 10,
    StaleKept: 400,
    GoesOnAfterFailure: 200,
    Trusting: 100,
    OnlyAtStart: 200,
    OnlyTheChangelog: 200,
    ChainUnchecked: 400,
    AckedAnywhere: 400,
    AckedStateFirst: 400,
}
"""Each with the number of seeds within which the simulation must tell."""
