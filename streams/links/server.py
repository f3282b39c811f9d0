"""The service behind signed links: one GET, one redirect.

``/l/TOKEN``  302 to the signed address; 404 for what we did not sign, 410 for what has expired, both without a word
              from the request in the answer.
``/livez``    200 while the event loop answers. Asks nobody: links must work while Kafka is down.
``/metrics``  Prometheus.

Nothing is remembered between requests, so there may be as many of these as one likes.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from aiohttp import web

from streams.links.signing import PATH
from streams.links.token import Keys, Link, Refusal, verify
from streams.links.visit import Visit, visit_of
from streams.metric_registry import Metrics
from streams.web_pages import metrics_page, served

HEADERS: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


class LinkService:
    """`record` is given each click, and must not block; `now_ms` is the time."""

    def __init__(
        self, keys: Keys, record: Callable[[Link, int], None], metrics: Metrics, now_ms: Callable[[], int]
    ) -> None:
        self._keys = keys
        self._record = record
        self._metrics = metrics
        self._now_ms = now_ms

    def served(self, host: str, port: int) -> AbstractAsyncContextManager[str]:
        """Listen; gives the address, with a free port if 0 was asked for."""
        pages = {PATH + "{token}": self._follow, "/livez": _livez, "/metrics": metrics_page(self._metrics)}
        return served(pages, host, port)

    async def _follow(self, request: web.Request) -> web.Response:
        now_ms = self._now_ms()
        found = verify(request.match_info["token"], self._keys, now_ms / 1_000)
        if isinstance(found, Refusal):
            self._metrics.counter("link_requests", found.value).inc()
            if found is Refusal.EXPIRED:
                return web.Response(status=410, text="This link has expired.\n", headers=HEADERS)
            return web.Response(status=404, text="There is no such link.\n", headers=HEADERS)
        visit = visit_of(request.method, request.headers)
        self._metrics.counter("link_requests", visit.value).inc()
        if visit is Visit.CLICK:
            self._record(found, now_ms)
        return web.Response(status=302, headers={**HEADERS, "Location": found.url})


async def _livez(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
