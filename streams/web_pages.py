"""The pages that a process serves: a small aiohttp server, for workers, the canary and the links alike.

Pages are asked for by GET (or HEAD) and have no use for a body, so that none is ever taken in.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from streams import log_events
from streams.metric_registry import Metrics, exposition

STOP_S: Final = 1.0
BODY_BYTES_MAX: Final = 1_024

Page = Callable[[web.Request], Awaitable[web.Response]]


def metrics_page(metrics: Metrics) -> Page:
    """``/metrics``, in the format that is asked for."""

    async def show(request: web.Request) -> web.Response:
        body, content_type = exposition(metrics.registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    return show


@asynccontextmanager
async def served(pages: Mapping[str, Page], host: str, port: int) -> AsyncIterator[str]:
    """Serve pages by their paths; yields the address, which the log names too. Port 0 takes a free one."""
    application = web.Application(client_max_size=BODY_BYTES_MAX)
    for path, page in pages.items():
        application.router.add_get(path, page)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        address = f"http://{bound[0]}:{bound[1]}"
        log_events.PAGES_SERVED.tell(address=address)
        yield address
    finally:
        await runner.cleanup()
