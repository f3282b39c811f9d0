"""Laws of the proxy: a fault is what it says, and it ends."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from streams.dev.ports import LOOPBACK, free_ports
from tests.chaos.proxy import HEALTHY, Fault, FaultKind, Proxy, ProxyThread

PATIENCE_S = 10.0


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve(one: socket.socket) -> None:
            with one:
                try:
                    while got := one.recv(4_096):
                        one.sendall(got)
                except OSError:  # ended by the fault under test
                    return

        def accept() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(one,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxies() -> Iterator[ProxyThread]:
    thread = ProxyThread()
    yield thread
    thread.close()


@pytest.fixture
def proxy(proxies: ProxyThread, echo: int) -> Proxy:
    return proxies.add(free_ports(1)[0], echo)


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=PATIENCE_S)


def echoed(client: socket.socket, sent: bytes) -> bytes:
    client.sendall(sent)
    got = b""
    while len(got) < len(sent) and (more := client.recv(4_096)):
        got += more
    return got


def test_a_healthy_proxy_passes_every_byte(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echoed(client, b"a" * 200_000) == b"a" * 200_000


def test_latency_delays_each_direction_and_loses_nothing(proxies: ProxyThread, proxy: Proxy) -> None:
    proxies.suffer(proxy, Fault(FaultKind.LATENCY, delay_ms=150))
    with connected(proxy) as client:
        began = time.monotonic()
        assert echoed(client, b"late") == b"late"
        assert time.monotonic() - began >= 0.3


def test_slow_passes_so_many_bytes_a_second(proxies: ProxyThread, proxy: Proxy) -> None:
    proxies.suffer(proxy, Fault(FaultKind.SLOW, bytes_per_second=20_000))
    with connected(proxy) as client:
        began = time.monotonic()
        assert echoed(client, b"s" * 8_000) == b"s" * 8_000
        assert time.monotonic() - began >= 0.4


def test_what_is_held_arrives_at_the_end_of_the_fault(proxies: ProxyThread, proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echoed(client, b"before") == b"before"
        proxies.suffer(proxy, Fault(FaultKind.HOLD))
        client.sendall(b"held")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(10)
        proxies.suffer(proxy, HEALTHY)
        client.settimeout(PATIENCE_S)
        assert client.recv(10) == b"held"


def test_half_open_accepts_and_never_answers_and_what_it_swallowed_ends_with_it(
    proxies: ProxyThread, proxy: Proxy
) -> None:
    with connected(proxy) as old:
        assert echoed(old, b"before") == b"before"
        proxies.suffer(proxy, Fault(FaultKind.HALF_OPEN))
        with connected(proxy) as new:
            for client in (old, new):
                client.sendall(b"lost")
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    client.recv(10)
                client.settimeout(PATIENCE_S)
            proxies.suffer(proxy, HEALTHY)
            for client in (old, new):
                assert ended(client)
    with connected(proxy) as client:
        assert echoed(client, b"again") == b"again"


def test_cut_ends_connections_and_every_new_one_until_it_is_healed(proxies: ProxyThread, proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echoed(client, b"before") == b"before"
        proxies.suffer(proxy, Fault(FaultKind.CUT))
        assert ended(client)
    with connected(proxy) as client:
        assert ended(client)
    proxies.heal()
    with connected(proxy) as client:
        assert echoed(client, b"again") == b"again"


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(10) == b""
    except ConnectionError:
        return True
