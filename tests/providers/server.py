"""The framework: real HTTP on loopback, one server for any number of APIs, a script of faults for every route.

An API is an object with `routes()`. A route has a name (what scripts say), a method, a path as aiohttp writes it, and a
function from `Ask` to `Reply`. It may raise `Refused` with the reply. A route's function has no await in it, so what it
does to the API's state is done at once: two requests never see half of each other.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from tests.providers.faults import Fault

HOST: Final = "127.0.0.1"
SEEN_MAX: Final = 10_000
ENDLESS_BYTES_MAX: Final = 64 << 20
REQUEST_BYTES_MAX: Final = 8 << 20
CHUNK: Final = b"x" * 65_536
TRICKLE_PAUSE_S: Final = 0.02


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def text_reply(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "text/plain", **(headers or {})})


class Refused(Exception):  # noqa: N818 - what the provider does, no error of the test
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass(frozen=True)
class Ask:
    """One request, read to its end."""

    route: str
    method: str
    path: str
    """Decoded, without the query."""
    raw_path: str
    """As it was sent, with the query."""
    params: Mapping[str, str]
    """The parts of the path that the route names, decoded."""
    query: Mapping[str, str]
    headers: CIMultiDictProxy[str]
    body: bytes
    peer: tuple[str, int]

    def json(self) -> Any:
        """The body; None if it is no JSON (or is the JSON null)."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def bearer(self) -> str | None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if kind == "Bearer" else None


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    path: str
    answer: Callable[[Ask], Reply]


class Api(Protocol):
    def routes(self) -> Sequence[Route]: ...


class ProviderServer:
    def __init__(self, *apis: Api) -> None:
        self.port = 0
        self.seen: deque[Ask] = deque(maxlen=SEEN_MAX)
        self.always: dict[str, Fault] = {}
        """What happens to every request of a route whose script is at its end."""
        self.sent_bytes = 0
        """Of endless and trickling bodies."""
        self._scripts: dict[str, deque[Fault]] = defaultdict(deque)
        self._apis = apis
        self._runner: web.AppRunner | None = None

    def url(self, path: str = "", host: str = HOST) -> str:
        return f"http://{host}:{self.port}{path}"

    def script(self, route: str, *faults: Fault) -> None:
        """Let these happen to the route's next requests, one each."""
        self._scripts[route].extend(faults)

    def asked(self, route: str) -> list[Ask]:
        return [ask for ask in self.seen if ask.route == route]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        for api in self._apis:
            for route in api.routes():
                app.router.add_route(route.method, route.path, self._serving(route))
        app.router.add_route("*", "/{rest:.*}", self._serving(Route("nowhere", "*", "", lambda _: Reply(404))))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def _serving(self, route: Route) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            ask = await _read(request, route.name)
            self.seen.append(ask)
            script = self._scripts[route.name]
            fault = script.popleft() if script else self.always.get(route.name, Fault())
            if fault.before is not None:
                fault.before()
            reply = _replied(route, ask) if fault.commit or (fault.status is None and not fault.drop) else Reply()
            await asyncio.sleep(fault.delay_s)
            return await self._send(request, fault, reply)

        return serve

    async def _send(self, request: web.Request, fault: Fault, reply: Reply) -> web.StreamResponse:
        if fault.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if fault.status is not None:
            reply = Reply(fault.status, fault.body, fault.headers)
        if fault.endless or fault.trickle:
            return await self._on_and_on(request, reply, trickle=fault.trickle)
        return web.Response(status=reply.status, body=reply.body, headers=CIMultiDict(reply.headers))

    async def _on_and_on(self, request: web.Request, reply: Reply, *, trickle: bool) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status)
        await response.prepare(request)
        try:
            while self.sent_bytes < ENDLESS_BYTES_MAX:
                await response.write(b"x" if trickle else CHUNK)
                self.sent_bytes += 1 if trickle else len(CHUNK)
                if trickle:
                    await asyncio.sleep(TRICKLE_PAUSE_S)
        except (ConnectionError, asyncio.CancelledError):
            return response
        return response


async def _read(request: web.Request, route: str) -> Ask:
    assert request.transport is not None
    return Ask(
        route, request.method, request.path, request.raw_path, dict(request.match_info), dict(request.query),
        request.headers, await request.read(), request.transport.get_extra_info("peername"),
    )  # fmt: skip


def _replied(route: Route, ask: Ask) -> Reply:
    try:
        return route.answer(ask)
    except Refused as refused:
        return refused.reply
