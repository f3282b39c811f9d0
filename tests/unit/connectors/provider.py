"""A provider on loopback that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Said:
    """The next answer."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: bool = False
    endless: bool = False


@dataclass
class Seen:
    headers: Mapping[str, str]
    body: bytes
    path: str
    peer: tuple[str, int]


class Provider:
    def __init__(self) -> None:
        self.says = Said()
        self.seen: list[Seen] = []
        self.sent_bytes = 0
        self.port = 0

    def url(self, host: str = "127.0.0.1", path: str = "/services/T0/B0/very-secret-token") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")
        self.seen.append(Seen(dict(request.headers), await request.read(), request.path, peer))
        said = self.says
        await asyncio.sleep(said.delay_s)
        if said.drop:
            request.transport.close()
        if said.endless:
            return await self._endless(request)
        return web.Response(status=said.status, body=said.body, headers=said.headers)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while self.sent_bytes < 64 << 20:
                await response.write(b"x" * 65_536)
                self.sent_bytes += 65_536
        except (ConnectionError, asyncio.CancelledError):
            return response
        return response


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    one = Provider()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", one.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()
