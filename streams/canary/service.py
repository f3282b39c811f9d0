"""The canary as a service: session after session, and pages for whoever runs it.

``/livez``   200 while the canary's thread comes round. Asks nobody: brokers that are away are no reason to restart it.
``/readyz``  200 while it publishes and has a segment to cross.
``/metrics`` Prometheus.

Where a session cannot begin, or its clients give up, another one begins after a moment. What it may not do, or has no
topic for, ends it: that is a fault of the deployment, which every restart tells again.
"""

import asyncio
import threading
import time
from contextlib import AbstractAsyncContextManager
from typing import Final

from aiohttp import web
from confluent_kafka import KafkaException

from streams import log_events
from streams.canary.report import Shown
from streams.canary.session import Session
from streams.canary.watch import Rhythm
from streams.errors import KafkaRefusedError, KafkaUnreachableError
from streams.metric_registry import Metrics
from streams.settings import Settings
from streams.web_pages import metrics_page, served

RETRY_S: Final = 2.0
LIVE_S: Final = 120.0


class Canary:
    """`run` works until `stop` is called, or raises an `ExpectedError`."""

    def __init__(self, settings: Settings, name: str, run_id: str, metrics: Metrics) -> None:
        self._settings = settings
        self._name = name
        self._run_id = run_id
        self._shown = Shown(metrics)
        self._metrics = metrics
        self._stopped = threading.Event()
        self._beat_s = time.monotonic()

    def run(self) -> None:
        canary = self._settings.canary
        rhythm = Rhythm(canary.interval_s, canary.timeout_s)
        while not self._stopped.is_set():
            try:
                Session(self._settings, self._name, self._run_id, rhythm, self._shown).run(self._comes_round)
            except KafkaRefusedError:
                raise
            except (KafkaUnreachableError, KafkaException) as error:
                log_events.CANARY_RETRIES.tell(seconds=RETRY_S, reason=str(error))
            self._shown.at_work(up=False)
            self._comes_round()
            self._stopped.wait(RETRY_S)

    def stop(self) -> None:
        self._stopped.set()

    def _comes_round(self) -> bool:
        self._beat_s = time.monotonic()
        return not self._stopped.is_set()

    # -- pages -------------------------------------------------------------------------------------------------------

    def pages(self, host: str, port: int) -> AbstractAsyncContextManager[str]:
        """Serve them, as `served` does."""
        pages = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": metrics_page(self._metrics)}
        return served(pages, host, port)

    async def _livez(self, _: web.Request) -> web.Response:
        comes_round = time.monotonic() - self._beat_s < LIVE_S
        return web.Response(text="alive\n") if comes_round else web.Response(status=503, text="stuck\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self._shown.up else web.Response(status=503, text="not ready\n")


async def serve(canary: Canary, host: str, port: int, stopped: asyncio.Event) -> None:
    """Until `stopped`, or until the canary ends by an error, which is raised."""
    async with canary.pages(host, port):
        work = asyncio.ensure_future(asyncio.to_thread(canary.run))
        waiting = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        canary.stop()
        await work
