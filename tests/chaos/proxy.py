"""TCP proxies between workers and brokers, which misbehave on request.

Theory of operation. A proxy passes bytes on until it is told a fault. Each direction of a connection is a pump: read a
chunk, let the fault have its way with it, write it. What the fault may do:

==========  ============================================================================================
fault       what clients see
==========  ============================================================================================
latency     every chunk is passed on later
slow        so many bytes a second
hold        nothing is passed on, but kept, and delivered at the end: requests arrive long after they were sent
half_open   connections are accepted, nothing is answered; what was swallowed is gone, so these end with the fault
cut         connections end at once, and so does every new one
==========  ============================================================================================

All proxies run in the event loop of one thread, so that faults can be set from anywhere.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from streams.dev.ports import LOOPBACK

CHUNK_BYTES: Final = 64 << 10
SLOW_CHUNK_BYTES: Final = 2 << 10
CALL_TIMEOUT_S: Final = 10.0


class FaultKind(StrEnum):
    NONE = "none"
    LATENCY = "latency"
    SLOW = "slow"
    HOLD = "hold"
    HALF_OPEN = "half_open"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind = FaultKind.NONE
    delay_ms: int = 0
    bytes_per_second: int = 0


HEALTHY: Final = Fault()


class Proxy:
    """One listening port and where it leads. Lives in the loop of `ProxyThread`."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.target_port = target_port
        self.passed_bytes = 0
        self._fault = HEALTHY
        self._connections: set[asyncio.Task[None]] = set()
        self._lossy: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._not_held = asyncio.Event()
        self._not_held.set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port, limit=CHUNK_BYTES)

    async def close(self) -> None:
        assert self._server is not None, "never opened"
        self._server.close()
        self._end(set(self._connections))
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def suffer(self, fault: Fault) -> None:
        """From now on this fault, instead of the one before."""
        self._fault = fault
        if fault.kind is FaultKind.HOLD:
            self._not_held.clear()
        else:
            self._not_held.set()
        self._end(set(self._connections) if fault.kind is FaultKind.CUT else self._lossy)
        self._lossy = set()

    @staticmethod
    def _end(connections: set[asyncio.Task[None]]) -> None:
        for connection in connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        ends = [writer]
        try:
            if self._fault.kind is FaultKind.CUT:
                return
            while self._fault.kind is FaultKind.HALF_OPEN:
                self._lossy.add(connection)
                if not await reader.read(CHUNK_BYTES):
                    return
            there, back = await asyncio.open_connection(LOOPBACK, self.target_port, limit=CHUNK_BYTES)
            ends.append(back)
            pumps = [
                asyncio.create_task(self._pump(reader, back, connection)),
                asyncio.create_task(self._pump(there, writer, connection)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):  # the broker is away, or the fault ended this connection
            pass
        finally:
            for end in ends:
                end.transport.abort()
            self._connections.discard(connection)
            self._lossy.discard(connection)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: asyncio.Task[None]
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(SLOW_CHUNK_BYTES if self._fault.kind is FaultKind.SLOW else CHUNK_BYTES):
                if await self._let_through(len(chunk), connection):
                    writer.write(chunk)
                    await writer.drain()
                    self.passed_bytes += len(chunk)

    async def _let_through(self, size: int, connection: asyncio.Task[None]) -> bool:
        """Whether a chunk is passed on, after what the fault does to it."""
        fault = self._fault
        if fault.kind is FaultKind.LATENCY:
            await asyncio.sleep(fault.delay_ms / 1000)
        elif fault.kind is FaultKind.SLOW:
            await asyncio.sleep(size / fault.bytes_per_second)
        await self._not_held.wait()
        if self._fault.kind is FaultKind.HALF_OPEN:
            self._lossy.add(connection)
            return False
        return True


class ProxyThread:
    """The thread in which proxies run. Its methods are for other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self.all: list[Proxy] = []

    def add(self, port: int, target_port: int) -> Proxy:
        proxy = Proxy(port, target_port)
        self._call(proxy.open)
        self.all.append(proxy)
        return proxy

    def suffer(self, proxy: Proxy, fault: Fault) -> None:
        self._call(lambda: proxy.suffer(fault))

    def heal(self) -> None:
        for proxy in self.all:
            self.suffer(proxy, HEALTHY)

    def close(self) -> None:
        for proxy in self.all:
            self._call(proxy.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT_S)
        self._loop.close()

    def _call(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(CALL_TIMEOUT_S)
