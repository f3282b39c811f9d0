"""The loop around one destination."""

import asyncio
from collections.abc import Sequence

from streams.connectors.message import Message, Rendered
from streams.connectors.outcome import Outcome, ok
from streams.notify.deliver.courier import Courier
from streams.notify.deliver.dispatch import Dispatch
from tests.unit.notify.world import NOW_MS, delivery, destination


class Idle:
    closed = False

    async def deliver(self, message: Message) -> Outcome:
        return ok()

    async def deliver_batch(self, messages: Sequence[Message]) -> list[Outcome]:
        return [ok() for _ in messages]

    async def close(self) -> None:
        self.closed = True


async def test_a_courier_that_is_woken_just_as_it_is_stopped_ends() -> None:
    for turns in range(4):
        connector = Idle()
        dispatch = Dispatch(destination())
        dispatch.offer(delivery(not_before_ms=NOW_MS + 60_000), NOW_MS)  # so that it sleeps for some time
        courier = Courier(dispatch, connector, lambda _: Rendered("t", ""), lambda: NOW_MS)
        courier.start()
        await asyncio.sleep(0.01)
        courier.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await courier.stop()
        assert connector.closed
