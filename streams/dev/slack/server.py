"""The server: one POST a message, Slack's answers, and a script of faults for tests.

Bound to loopback. A request that names another host is refused, so that no web page elsewhere can read what is here.
Each incoming webhook is its own channel, named by the last part of its path.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from streams.dev.slack.page import CONTENT_SECURITY_POLICY, page_of
from streams.dev.slack.rules import refusal, texts_of

HOST: Final = "127.0.0.1"
BODY_BYTES_MAX: Final = 1 << 20
KEPT_DEFAULT: Final = 200
ATTEMPTS_KEPT: Final = 100_000
SECONDS_A_MESSAGE: Final = 1.0
TOLERANCE_S: Final = 0.1
SERVICE: Final = "/services/T0PEGEL/B0PEGEL/"
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, slots=True)
class StoredMessage:
    received_at: str
    channel: str
    text: str
    """What notifications show."""
    lines: tuple[str, ...]
    """The texts of the blocks."""
    payload: dict[str, Any] = field(repr=False)

    @property
    def delivery_id(self) -> str | None:
        """The first block's id, where Pegel puts its delivery id."""
        blocks = self.payload.get("blocks") or [{}]
        found = blocks[0].get("block_id")
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request instead of an answer."""

    status: int | None = None
    """Answer this, with `body`; None: answer as usual."""
    body: str = ""
    retry_after: str | None = None
    delay_s: float = 0.0
    commit: bool = False
    """Keep the message all the same."""
    drop: bool = False
    """Close the connection instead of answering."""


class SlackStandIn:
    def __init__(
        self,
        port: int = 0,
        *,
        rate_limited: bool = True,
        kept_max: int = KEPT_DEFAULT,
        on_message: Callable[[StoredMessage], None] | None = None,
    ) -> None:
        self.port = port
        self.messages: deque[StoredMessage] = deque(maxlen=kept_max)
        self.attempts: deque[tuple[float, dict[str, Any]]] = deque(maxlen=ATTEMPTS_KEPT)
        """Every readable request, taken or not, with its monotonic time."""
        self.faults: deque[Fault] = deque()
        """Used up one a request."""
        self._rate_limited = rate_limited
        self._on_message = on_message
        self._next_at: dict[str, float] = {}
        self._runner: web.AppRunner | None = None

    def url(self, channel: str = "team") -> str:
        return f"http://{HOST}:{self.port}{SERVICE}{channel}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; a port of 0 is replaced by the one that was free."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_local_only])
        app.router.add_post(SERVICE + "{channel}", self._post)
        app.router.add_route("*", "/services/{rest:.*}", _no_service)
        app.router.add_get("/messages", self._list)
        app.router.add_get("/", self._page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _post(self, request: web.Request) -> web.StreamResponse:
        payload = await _payload(request)
        if isinstance(payload, dict):
            self.attempts.append((time.monotonic(), payload))
        channel = request.match_info["channel"]
        fault = self.faults.popleft() if self.faults else Fault()
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.commit and isinstance(payload, dict):
            self._keep(channel, payload)
        if fault.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if fault.status is not None:
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return web.Response(status=fault.status, text=fault.body, headers=headers)
        return self._answer(channel, payload)

    def _answer(self, channel: str, payload: Any) -> web.Response:
        wait_s = self._wait_s(channel)
        if wait_s > 0:
            body = {"retry_after": 1, "ok": False, "error": "rate_limited"}
            return web.json_response(body, status=429, headers={"Retry-After": "1"})
        word = refusal(payload)
        if word is not None:
            return web.Response(status=400, text=word)
        self._keep(channel, payload)
        return web.Response(text="ok")

    def _wait_s(self, channel: str) -> float:
        """Take the channel's turn, or say how long until it comes."""
        now = time.monotonic()
        next_at = self._next_at.get(channel, 0.0)
        if not self._rate_limited or now >= next_at - TOLERANCE_S:
            self._next_at[channel] = max(now, next_at) + SECONDS_A_MESSAGE
            return 0.0
        return next_at - now

    def _keep(self, channel: str, payload: dict[str, Any]) -> None:
        message = StoredMessage(
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            channel,
            str(payload.get("text") or ""),
            tuple(texts_of(payload.get("blocks") or [])),
            payload,
        )
        self.messages.append(message)
        if self._on_message is not None:
            self._on_message(message)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("channel")
        found = [m for m in self.messages if wanted in {None, m.channel}]
        body = msgspec.json.encode([msgspec.to_builtins(m) | {"delivery_id": m.delivery_id} for m in found])
        return web.Response(body=body, content_type="application/json")

    async def _page(self, _: web.Request) -> web.Response:
        shown = [(m.received_at, m.channel, m.lines or (m.text,)) for m in reversed(self.messages)]
        headers = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return web.Response(text=page_of(shown), content_type="text/html", headers=headers)


async def _payload(request: web.Request) -> Any:
    """The JSON, in the body or in the form field that older clients use."""
    try:
        if request.content_type == "application/x-www-form-urlencoded":
            return msgspec.json.decode(str((await request.post()).get("payload", "")))
        return msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


async def _no_service(_: web.Request) -> web.Response:
    return web.Response(status=404, text="no_service")


@web.middleware
async def _local_only(request: web.Request, handler: Answering) -> web.StreamResponse:
    if request.url.host not in LOCAL_NAMES:
        return web.Response(status=403, text="this server is for this machine alone")
    return await handler(request)
