"""Readings in the background: one at a time for a partition, each in a thread, taken when it is done.

What was spilled comes first: messages wait for it. A reading that Kafka did not answer is
made again a little later; anything else that goes wrong in one is a fault of the program and ends the worker.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final, Protocol

from streams import log_events
from streams.errors import ExpectedError
from streams.notify.courier.outbox import Found
from streams.notify.courier.post import Post
from streams.notify.courier.reading import Readings
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.planner import RosterMember, RosterRequest

AGAIN_MS: Final = 5_000
PAUSE_MS: Final = 1_000
"""Between two readings for the same spill: what was flushed meanwhile must become visible."""
REQUESTS_MAX: Final = 1_000


Result = Found | list[RosterMember]


class Decide(Protocol):
    def __call__(self, post: Post, made: Iterable[Decision], arrived_ms: int) -> None: ...


class Background:
    def __init__(self, readings: Readings, decide: Decide) -> None:
        self._readings = readings
        self._decide = decide
        self._requests: deque[tuple[Post, RosterRequest]] = deque()
        self._task: asyncio.Task[Result] | None = None
        self._of: tuple[Post, RosterRequest | None] | None = None
        self._not_before_ms = 0

    def turn(self, posts: Collection[Post], now_ms: int) -> tuple[Post, list[Delivery]] | None:
        """Take what is done and begin what is next. Returns deliveries that were read back, to be offered."""
        for post in posts:
            if len(self._requests) < REQUESTS_MAX and post.planner.next_ms() <= now_ms:
                self._requests += ((post, request) for request in post.planner.wants_roster(now_ms))
                post.planned = True
        offered = self._taken(now_ms) if self._task is not None and self._task.done() else None
        if self._task is None and now_ms >= self._not_before_ms:
            self._begin(posts)
        return offered

    def stop(self) -> None:
        """Begin nothing more; what is under way is not waited for."""
        self._readings.stop()
        if self._task is not None:
            self._task.cancel()

    def _begin(self, posts: Iterable[Post]) -> None:
        read: Callable[[], Result]
        spilled = next(((post, wanted) for post in posts if (wanted := post.outbox.wanted()) is not None), None)
        if spilled is not None:
            self._of = (spilled[0], None)
            read = partial(self._readings.spilled, spilled[1])
        elif self._requests:
            post, request = self._requests.popleft()
            self._of = (post, request)
            read = partial(self._readings.members, request)
        else:
            return
        self._task = asyncio.create_task(asyncio.to_thread(read), name="reading")

    def _taken(self, now_ms: int) -> tuple[Post, list[Delivery]] | None:
        assert self._task is not None
        assert self._of is not None
        task, (post, request) = self._task, self._of
        self._task = self._of = None
        try:
            found = task.result()
        except ExpectedError as error:
            log_events.READING_AGAIN.tell(destination=post.name, seconds=AGAIN_MS // 1_000, error=str(error))
            self._not_before_ms = now_ms + AGAIN_MS
            if request is not None:
                post.planner.ask_again(request)
            return None
        if isinstance(found, Found):
            self._not_before_ms = now_ms + PAUSE_MS
            return post, post.outbox.take_in(found)
        assert request is not None
        self._decide(post, post.planner.give_roster(request, found, now_ms), now_ms)
        return None
