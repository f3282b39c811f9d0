"""The loop around one destination: starts what its dispatch allows, tells how it ended, sleeps until the next moment.

All decisions are the dispatch's; here are only the tasks. An exception in one is a fault of the program: it is kept for
the stage to raise (fail stop), never counted as a failed delivery.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from schemas.action import Reason
from streams.connectors.contract import Connector
from streams.connectors.message import Message, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind
from streams.notify.deliver.dispatch import Dispatch, Settled, Start
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.render import TemplateProblem

SLEEP_MAX_S: Final = 1.0
"""The wall clock may jump; nobody waits longer for it than this."""
ATTEMPT_SLACK_S: Final = 5.0
"""What an attempt may take beyond its own time-out before it is given up on."""

Clock = Callable[[], int]
Write = Callable[[Delivery], Rendered]


class Report(Protocol):
    """Told of every decision; `detail` is the connector's word or what is wrong with a template."""

    def __call__(self, settled: Settled, detail: str, ref: str | None) -> None: ...


class Courier:
    def __init__(self, dispatch: Dispatch, connector: Connector, write: Write, report: Report, clock: Clock) -> None:
        self.dispatch = dispatch
        self.failure: BaseException | None = None
        self._connector = connector
        self._write = write
        self._report = report
        self._clock = clock
        self._attempts: dict[asyncio.Task[None], int] = {}
        """Under way, with the partition that each is for."""
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name=f"courier-{self.dispatch.destination.id}")
        self._loop.add_done_callback(self._keep_failure)

    def wake(self) -> None:
        """Something may be possible that was not."""
        self._woken.set()

    async def finish(self, timeout_s: float, partition: int | None = None) -> None:
        """Give attempts under way (of one partition, or all) some time to end."""
        pending = [task for task, of in self._attempts.items() if partition is None or of == partition]
        if pending:
            await asyncio.wait(pending, timeout=timeout_s)

    async def stop(self) -> None:
        """End the loop and what is still under way, and close the connector."""
        ending = [task for task in (self._loop, *self._attempts) if task is not None]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        await self._connector.close()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            now_ms = self._clock()
            while (start := self.dispatch.next(now_ms)) is not None:
                self._begin(start)
            for settled in self.dispatch.overdue(now_ms):
                self._report(settled, "", None)
            wake_ms = self.dispatch.wake_ms(now_ms)
            wait_s = None if wake_ms is None else min(max(wake_ms - now_ms, 1) / 1_000, SLEEP_MAX_S)
            try:
                await asyncio.wait_for(self._woken.wait(), wait_s)
            except TimeoutError:
                continue

    def _begin(self, start: Start) -> None:
        task = asyncio.create_task(self._attempt(start), name=f"delivery-{start.delivery.delivery_id}")
        self._attempts[task] = start.delivery.source.partition
        task.add_done_callback(self._ended)

    async def _attempt(self, start: Start) -> None:
        delivery = start.delivery
        began_ms = self._clock()
        try:
            rendered = self._write(delivery)
        except TemplateProblem as problem:
            self._report(self.dispatch.abandoned(start, Reason.TEMPLATE_FAILED, began_ms), str(problem), None)
            return
        message = Message(
            delivery.delivery_id,
            delivery.attempts + 1,
            began_ms,
            delivery.play,
            delivery.news.fields,
            rendered,
            items=(delivery.news.fields,),
        )
        outcome = await self._deliver(message)
        self._report(self.dispatch.concluded(start, outcome, self._clock()), outcome.detail, outcome.ref)

    async def _deliver(self, message: Message) -> Outcome:
        try:
            async with asyncio.timeout(self.dispatch.destination.timeout_s + ATTEMPT_SLACK_S):
                return await self._connector.deliver(message)
        except TimeoutError:
            return Outcome(OutcomeKind.AMBIGUOUS, "no_answer")

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._attempts[task]
        self._keep_failure(task)
        self.wake()

    def _keep_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
