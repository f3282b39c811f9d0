"""The loop around one destination: starts what its dispatch allows, tells how it ended, sleeps until the next moment.

All decisions are the dispatch's; here are only the tasks. An exception in one is a fault of the program: it is kept for
the stage to raise (fail stop), never counted as a failed delivery.

The words of a message are made once, before its first attempt, and kept with the delivery: a provider that knows a
repeat by its bytes gets the same ones.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from schemas.action import Reason
from streams.connectors.contract import BatchConnector, Connector
from streams.connectors.message import Message, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind
from streams.notify.deliver.dispatch import Dispatch, Settled, Start, Unsendable
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.render import TemplateProblem
from streams.tracing.follow import at_destination, attempt_at

SLEEP_MAX_S: Final = 1.0
"""The wall clock may jump; nobody waits longer for it than this."""
ATTEMPT_SLACK_S: Final = 5.0
"""What an attempt may take beyond its own time-out before it is given up on."""

Clock = Callable[[], int]
Write = Callable[[Delivery], Rendered]


class Owner(Protocol):
    """Whoever answers for the deliveries of a destination: the stage that has its partition."""

    def settled(self, settled: Settled, detail: str, ref: str | None) -> None:
        """Take a decision; `detail` is the connector's word or what is wrong with a template."""
        ...

    def thread_ref(self, delivery: Delivery) -> str | None:
        """The ref of the first message about the account, if one is known."""
        ...

    def edit_ref(self, delivery: Delivery) -> str | None:
        """The ref of the message whose place this one takes, if it takes one's."""
        ...


class Courier:
    def __init__(self, dispatch: Dispatch, connector: Connector, write: Write, clock: Clock) -> None:
        self.dispatch = dispatch
        self.owner: Owner | None = None
        """Nobody, while the destination is at work elsewhere: what still ends then is told to nobody."""
        self.failure: BaseException | None = None
        self._connector = connector
        self._write = write
        self._clock = clock
        self._attempts: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name=f"courier-{self.dispatch.destination.id}")
        self._loop.add_done_callback(self._keep_failure)

    def wake(self) -> None:
        """Something may be possible that was not."""
        self._woken.set()

    async def finish(self, timeout_s: float) -> None:
        """Give attempts under way some time to end."""
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=timeout_s)

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
                self._tell(settled, "", None)
            wake_ms = self.dispatch.wake_ms(now_ms)
            wait_s = None if wake_ms is None else min(max(wake_ms - now_ms, 1) / 1_000, SLEEP_MAX_S)
            try:
                # Not wait_for: where it is woken and cancelled at once, Python 3.11's loses the cancellation.
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _begin(self, start: Start) -> None:
        task = asyncio.create_task(self._attempt(start), name=f"delivery-{start.deliveries[0].delivery_id}")
        self._attempts.add(task)
        task.add_done_callback(self._ended)

    async def _attempt(self, start: Start) -> None:
        began_ms = self._clock()
        written = [self._written(one) for one in start.deliveries]
        ready = [one for one in written if isinstance(one, Delivery)]
        messages = [self._message(one, began_ms) for one in ready]
        answers = iter(await self._deliver(messages) if messages else ())
        outcomes = [next(answers) if isinstance(one, Delivery) else one for one in written]
        sent = tuple(
            one if isinstance(one, Delivery) else known for one, known in zip(written, start.deliveries, strict=True)
        )
        concluded = self.dispatch.concluded(replace(start, deliveries=sent), outcomes, self._clock())
        for settled, outcome in zip(concluded, outcomes, strict=True):
            self._tell(replace(settled, began_ms=began_ms), outcome.detail, outcome.ref)

    def _written(self, delivery: Delivery) -> Delivery | Unsendable:
        """With its words."""
        if delivery.rendered is not None:
            return delivery
        try:
            return replace(delivery, rendered=self._write(delivery))
        except TemplateProblem as problem:
            return Unsendable(Reason.TEMPLATE_FAILED, str(problem))

    def _message(self, delivery: Delivery, now_ms: int) -> Message:
        assert delivery.rendered is not None
        work = at_destination(delivery.source, delivery.destination)
        return Message(
            delivery.delivery_id,
            delivery.attempts + 1,
            now_ms,
            delivery.play,
            delivery.news.fields,
            delivery.rendered,
            kind=delivery.kind,
            items=tuple(item.news.fields for item in delivery.items),
            facts=delivery.facts,
            owner=delivery.owner,
            thread_ref=None if self.owner is None else self.owner.thread_ref(delivery),
            edit_ref=None if self.owner is None else self.owner.edit_ref(delivery),
            after_ambiguous=delivery.unsure,
            traceparent=None if work is None else attempt_at(work, delivery.delivery_id, now_ms).header().decode(),
        )

    async def _deliver(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        try:
            async with asyncio.timeout(self.dispatch.destination.timeout_s + ATTEMPT_SLACK_S):
                if len(messages) == 1:
                    return [await self._connector.deliver(messages[0])]
                assert isinstance(self._connector, BatchConnector)
                return await self._connector.deliver_batch(messages)
        except TimeoutError:
            return [Outcome(OutcomeKind.AMBIGUOUS, "no_answer")] * len(messages)

    def _tell(self, settled: Settled, detail: str, ref: str | None) -> None:
        if self.owner is not None:
            self.owner.settled(settled, detail, ref)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._attempts.remove(task)
        self._keep_failure(task)
        self.wake()

    def _keep_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
