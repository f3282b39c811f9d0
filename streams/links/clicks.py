"""Clicks on their way to Kafka: a redirect never waits for them.

librdkafka's own queue is the bound: what does not fit while the brokers are away is lost, and counted as lost. A
delivery report decides whether an event was written. Called from the event loop alone.
"""

import asyncio
from typing import Any, Final

from streams import log_events
from streams.links.click import event_of
from streams.links.token import Link
from streams.metric_registry import Metrics

QUEUED_EVENTS_MAX: Final = 10_000
POLL_EVERY_S: Final = 0.1
FLUSH_S: Final = 5.0


class Clicks:
    def __init__(self, client: Any, topic: str, metrics: Metrics) -> None:
        self._client = client
        self._topic = topic
        self._metrics = metrics

    def record(self, link: Link, now_ms: int) -> None:
        """Put the event into the queue; its key is the account."""
        try:
            self._client.produce(
                self._topic, event_of(link, now_ms), link.account_id.encode(), timestamp=now_ms,
                on_delivery=self._delivered,
            )  # fmt: skip
        except BufferError:
            self._lost("the queue is full: are the brokers there?")

    async def reports(self) -> None:
        """Take delivery reports for ever."""
        while True:
            self._client.poll(0)
            await asyncio.sleep(POLL_EVERY_S)

    async def close(self) -> None:
        """Wait a moment for what is on its way."""
        left = await asyncio.to_thread(self._client.flush, FLUSH_S)
        for _ in range(left):
            self._lost("the brokers did not take it in time")

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is None:
            self._metrics.counter("link_events", "written").inc()
        else:
            self._lost(str(error.str()))

    def _lost(self, reason: str) -> None:
        self._metrics.counter("link_events", "lost").inc()
        log_events.CLICK_LOST.tell(reason=reason)
