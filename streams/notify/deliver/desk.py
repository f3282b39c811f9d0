"""All couriers of a worker.

Couriers outlive partitions: the pace and health of a destination stay known while it is at work elsewhere. Its
deliveries belong to whoever has claimed it; what still ends afterwards is told to nobody, and the next owner does it
again with the same delivery id.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from schemas.playbook import Destination
from streams.connectors.contract import Connector, ConnectorType
from streams.notify.deliver.courier import Clock, Courier, Owner, Write
from streams.notify.deliver.dispatch import Dispatch, Opens
from streams.notify.plan.delivery import Delivery

FINISH_S: Final = 3.0
"""How long attempts under way are waited for when a destination moves away or the worker stops."""


class Desk:
    def __init__(
        self,
        destinations: Mapping[str, tuple[Destination, ConnectorType, Connector]],
        write: Write,
        clock: Clock,
        opens: Opens = lambda _, now_ms: now_ms,
    ) -> None:
        self._clock = clock
        self._couriers = {
            name: Courier(
                Dispatch(destination, batch_max=kind.batch_max, latest_wins=kind.latest_wins, opens=opens),
                connector,
                write,
                clock,
            )
            for name, (destination, kind, connector) in destinations.items()
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

    def claim(self, destination: str, owner: Owner) -> None:
        """From now on the destination's deliveries are the owner's."""
        courier = self._couriers[destination]
        if courier.owner is not owner:
            courier.dispatch.drop()
            courier.owner = owner

    def leave(self, destination: str, owner: Owner) -> None:
        """Give the destination up, unless somebody else has claimed it by now."""
        courier = self._couriers[destination]
        if courier.owner is owner:
            courier.owner = None
            courier.dispatch.drop()

    def offer(self, delivery: Delivery) -> Delivery | None:
        """Have it delivered. Returns the one that it outdates, which is not delivered any more."""
        courier = self._couriers[delivery.destination]
        outdated = courier.dispatch.offer(delivery, self._clock())
        courier.wake()
        return outdated

    def hold_after(self, destination: str, order: int | None) -> None:
        """Let nothing start at the destination that comes later in the order; None: everything may."""
        self._couriers[destination].dispatch.lanes.hold_after(order)
        self._couriers[destination].wake()

    def hurry(self, delivery: Delivery) -> None:
        """Try an open delivery now, or at once after those of its account that come before it."""
        courier = self._couriers[delivery.destination]
        courier.dispatch.hurry(delivery, self._clock())
        courier.wake()

    def withdraw(self, delivery: Delivery) -> bool:
        """Give an open delivery up; False if it is under way."""
        courier = self._couriers[delivery.destination]
        if courier.dispatch.lanes.is_under_way(delivery):
            return False
        courier.dispatch.lanes.withdraw(delivery, self._clock())
        courier.wake()
        return True

    def suspend(self, destination: str) -> None:
        """Start nothing more there; what is under way ends as it does."""
        self._couriers[destination].dispatch.drop()

    async def finish(self, destinations: Iterable[str]) -> None:
        """Give what is under way some time to end."""
        await asyncio.gather(*(self._couriers[name].finish(FINISH_S) for name in destinations))

    def failure(self) -> BaseException | None:
        return next((courier.failure for courier in self._couriers.values() if courier.failure is not None), None)

    def dispatch(self, destination: str) -> Dispatch:
        return self._couriers[destination].dispatch

    def destinations(self) -> Iterator[str]:
        yield from self._couriers
