"""An assignment over fakes, and the order in which things happened."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from streams.runtime.assignment import Assignment
from streams.runtime.changelog import Loading, Superseded
from streams.runtime.failure import FailStop
from streams.runtime.flush import Flusher
from streams.runtime.partition import Partition, Verdict
from tests.unit.runtime.fakes import FakeStage, FakeWriter, batch_of


class World:
    """An assignment over fakes; ``events`` is what happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.committed: dict[int, int | None] = {}
        self.input_end = 1_000
        self.stages: dict[int, FakeStage] = {}
        self.writers: dict[int, FakeWriter] = {}
        self.while_loading: Callable[[], None] = lambda: None
        self.failure = FailStop()
        self.flusher = Flusher(5, self.failure, lambda _: None)
        self.assignment = Assignment(self.new_stage, self.new_writer, self, self.flusher, self)  # type: ignore[arg-type]

    def new_stage(self, partition: int) -> FakeStage:
        stage = self.stages[partition] = FakeStage(partition)
        return stage

    def new_writer(self, partition: int) -> FakeWriter:
        writer = self.writers[partition] = FakeWriter(self.events)
        return writer

    async def load(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
        for loading in loadings:
            loading.input_end = self.input_end
        self.events.append("load")
        await asyncio.sleep(0)
        self.while_loading()
        if not is_current():
            raise Superseded
        for loading in loadings:
            loading.stage.restored()

    async def repair(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
        """As with transactions."""

    async def read_committed(self, numbers: Collection[int]) -> Mapping[int, int | None]:
        if numbers:
            self.events.append("offsets")
        return {number: self.committed.get(number) for number in numbers}

    def note_revoked(self) -> None:
        self.events.append("revoked")

    def note_restored(self, rows: int, seconds: float) -> None:
        self.events.append("restored")

    def note_lost(self, records: int) -> None:
        if records:
            self.events.append(f"lost {records}")

    def note_dropped(self, partition: Partition) -> None:
        self.events.append(f"dropped {partition.number}")

    async def assign(self, *numbers: int) -> bool:
        """A rebalance as Faust drives it."""
        await self.assignment.suspend()
        await self.assignment.retain(numbers)
        if not await self.assignment.load(numbers, self.read_committed):
            return False
        self.assignment.activate(self.assignment.restart_delivery())
        return True

    def apply(self, number: int, *offsets: int) -> None:
        partition = self.assignment.get(number)
        assert partition is not None
        assert partition.take(batch_of(partition, *offsets)) is Verdict.APPLIED
