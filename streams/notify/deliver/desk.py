"""All couriers of a worker, and the partitions they work for.

Destinations outlive partitions: pace and health are theirs, whichever partition a delivery came from. What is decided
about a delivery is told to the partition it belongs to, if that is still - or again - here; else to nobody, and its
next owner does it again with the same delivery id.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from schemas.playbook import Destination
from streams.connectors.contract import Connector
from streams.notify.deliver.courier import Clock, Courier, Report, Write
from streams.notify.deliver.dispatch import Dispatch, Settled
from streams.notify.plan.delivery import Delivery

FINISH_S: Final = 3.0
"""How long attempts under way are waited for when a partition moves away or the worker stops."""


class Desk:
    def __init__(
        self,
        destinations: Mapping[str, tuple[Destination, Connector]],
        write: Write,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._reports: dict[int, Report] = {}
        self._couriers = {
            name: Courier(Dispatch(destination), connector, write, self._report, clock)
            for name, (destination, connector) in destinations.items()
        }

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the couriers."""
        for courier in self._couriers.values():
            courier.start()
        try:
            yield
        finally:
            await asyncio.gather(*(courier.finish(FINISH_S) for courier in self._couriers.values()))
            await asyncio.gather(*(courier.stop() for courier in self._couriers.values()))

    def attach(self, partition: int, report: Report) -> None:
        self._reports[partition] = report

    def detach(self, partition: int, report: Report) -> None:
        """Forget the partition, unless somebody else works for it by now."""
        if self._reports.get(partition) is report:
            del self._reports[partition]
            self.withdraw(partition)

    def offer(self, delivery: Delivery) -> None:
        courier = self._couriers[delivery.destination]
        courier.dispatch.offer(delivery, self._clock())
        courier.wake()

    def withdraw(self, partition: int) -> None:
        """Start nothing more for the partition; what is under way ends as it does."""
        for courier in self._couriers.values():
            courier.dispatch.drop(partition)

    async def finish(self, partition: int) -> None:
        """Give what is under way for the partition some time to end."""
        await asyncio.gather(*(courier.finish(FINISH_S, partition) for courier in self._couriers.values()))

    def overflows(self, destination: str) -> bool:
        """Whether a destination is down and has all the backlog that it may have."""
        dispatch = self._couriers[destination].dispatch
        return dispatch.full and dispatch.down(self._clock())

    def saturated(self) -> bool:
        """Whether a destination that works has more to do than it may keep waiting."""
        now_ms = self._clock()
        return any(one.full and not one.down(now_ms) for one in self.dispatches())

    def failure(self) -> BaseException | None:
        return next((courier.failure for courier in self._couriers.values() if courier.failure is not None), None)

    def dispatches(self) -> Iterator[Dispatch]:
        for courier in self._couriers.values():
            yield courier.dispatch

    def _report(self, settled: Settled, detail: str, ref: str | None) -> None:
        report = self._reports.get(settled.delivery.source.partition)
        if report is not None:
            report(settled, detail, ref)
