"""The stand-in for Slack, which can be taken away and brought back, or answers 500."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from streams.dev.slack import Fault, SlackStandIn

KEPT_MAX: Final = 100_000
FAULTS: Final = 10_000
CALL_S: Final = 30.0


class Slack:
    """For other threads than its own."""

    def __init__(self, stand_in: SlackStandIn | None = None) -> None:
        self._stand_in = stand_in or SlackStandIn(kept_max=KEPT_MAX)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slack", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return self._stand_in.url()

    def arrived(self) -> list[str]:
        """Delivery ids of what it took, repeats included."""
        return [str(message.delivery_id) for message in list(self._stand_in.messages)]

    def start(self) -> None:
        """At the same port as before."""
        self._call(self._stand_in.start())

    def vanish(self) -> None:
        """Connections are refused from now on."""
        self._call(self._stand_in.stop())

    def fail(self) -> None:
        """Whatever is asked, the answer is 500."""
        self._stand_in.faults.extend([Fault(status=500, body="internal_error")] * FAULTS)

    def recover(self) -> None:
        self._stand_in.faults.clear()

    def close(self) -> None:
        self.vanish()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)


@contextmanager
def slack(stand_in: SlackStandIn | None = None) -> Iterator[Slack]:
    """`stand_in`: other than usual."""
    running = Slack(stand_in)
    running.start()
    try:
        yield running
    finally:
        running.close()
