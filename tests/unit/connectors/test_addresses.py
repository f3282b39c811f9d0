"""Who may be called."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from streams.connectors.addresses import AddressPolicy, network
from streams.connectors.http import AddressRefusedError, Answer, GuardedResolver, HttpTarget, Unanswered, checked_url
from tests.providers.faults import BOMB_BYTES, dropped, gzip_bomb, late, status
from tests.providers.server import ProviderServer
from tests.providers.webhook import PATH, WebhookReceiver

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e")
INSIDE = (
    "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "224.0.0.1", "ff02::1", "240.0.0.1",
    "255.255.255.255", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2002:a00:1::", "192.0.2.1", "198.18.0.1", "2001:db8::1",
    "::ffff:169.254.169.254", "not an address", "",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressPolicy().allows(address)
    assert not AddressPolicy(public=False).allows(address)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not(address: str) -> None:
    assert not AddressPolicy().allows(address)


def test_loopback_and_named_networks_are_allowed_where_the_destination_says_so() -> None:
    assert AddressPolicy(loopback=True).allows("127.0.0.1")
    assert AddressPolicy(loopback=True).allows("::1")
    assert not AddressPolicy(loopback=True).allows("10.0.0.1")
    named = AddressPolicy(networks=(network("10.0.0.0/8"),))
    assert named.allows("10.0.0.1")
    assert named.allows("::ffff:10.0.0.1")
    assert not named.allows("127.0.0.1")


class Rebinding(AbstractResolver):
    """Gives a public and a private address for the same name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in ("93.184.215.14", "10.0.0.1")
        ]

    async def close(self) -> None:
        pass


async def test_one_bad_address_of_a_name_refuses_the_name() -> None:
    with pytest.raises(AddressRefusedError):
        await GuardedResolver(AddressPolicy(), Rebinding()).resolve("example.com", 443)
    found = await GuardedResolver(AddressPolicy(networks=(network("10.0.0.0/8"),)), Rebinding()).resolve("e.com")
    assert [entry["host"] for entry in found] == ["93.184.215.14", "10.0.0.1"]


@pytest.mark.parametrize("host", ["localhost", "0x7f.0.0.1", "localtest"])
async def test_names_of_this_machine_are_resolved_and_then_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *rest, **more: resolve("127.0.0.1", *rest, **more))
    target = HttpTarget(f"https://{host}:9/", AddressPolicy(), 2.0, in_flight_max=1, keep_alive=False)
    answer = await target.post(b"", {})
    await target.close()
    assert isinstance(answer, Unanswered)
    assert (answer.failure, answer.unsent) == ("address_refused", True)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0177.0.0.1"])
def test_abbreviated_addresses_are_refused_at_once(host: str) -> None:
    with pytest.raises(ValueError, match="abbreviation"):
        checked_url(f"https://{host}/", AddressPolicy())


async def test_a_name_that_nobody_knows_is_said_to_be_unknown() -> None:
    target = HttpTarget("https://no-such-host.invalid/", AddressPolicy(), 5.0, in_flight_max=1, keep_alive=False)
    answer = await target.post(b"", {})
    await target.close()
    assert isinstance(answer, Unanswered)
    assert (answer.failure, answer.unsent) == ("name_unknown", True)


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_cannot_be_verified_is_refused(self_signed: ssl.SSLContext) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self_signed).start()
    url = f"https://localhost:{runner.addresses[0][1]}/"
    target = HttpTarget(url, AddressPolicy(loopback=True), 5.0, in_flight_max=1, keep_alive=False)
    answer = await target.post(b"secret", {})
    await target.close()
    await runner.cleanup()
    assert isinstance(answer, Unanswered)
    assert (answer.failure, answer.unsent) == ("tls_failed", True)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with ProviderServer(WebhookReceiver()) as server:
        server.script("hook", gzip_bomb(500))
        target = HttpTarget(server.url(PATH), AddressPolicy(loopback=True), 5.0, in_flight_max=1, keep_alive=False)
        answer = await target.post(b"", {})
        await target.close()
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body[:2], len(answer.body), answer.complete) == (500, b"\x1f\x8b", 4_096, False)
    assert 1_000 * len(answer.body) < BOMB_BYTES
    assert "\\x1f" not in repr(answer)


@asynccontextmanager
async def api(path: str = "/base/") -> AsyncIterator[tuple[ProviderServer, HttpTarget]]:
    async with ProviderServer() as server:
        target = HttpTarget(
            server.url(path), AddressPolicy(loopback=True), 5.0, in_flight_max=1, keep_alive=True, answer_bytes_max=8
        )
        yield server, target
        await target.close()


async def test_a_request_goes_below_the_url_with_its_method_and_its_headers() -> None:
    async with api() as (server, target):
        server.script(
            "nowhere", status(207, b"12345678", {"X-Left": "3", "retry-after": "4"}), status(200, b"123456789")
        )
        answer = await target.request("PATCH", "/a%2Fb%20c/d?e=f%26g", b"body", {"X-Mine": "1"})
        longer = await target.request("GET", "/x", None, {})
        [ask, second] = server.seen
    assert isinstance(answer, Answer)
    assert isinstance(longer, Answer)
    assert (ask.method, ask.raw_path, ask.body, ask.headers["X-Mine"]) == (
        "PATCH", "/base/a%2Fb%20c/d?e=f%26g", b"body", "1"
    )  # fmt: skip
    assert (answer.status, answer.headers["x-left"], answer.retry_after) == (207, "3", "4")
    assert (answer.body, answer.complete, longer.body, longer.complete) == (b"12345678", True, b"12345678", False)
    assert (second.method, second.body) == ("GET", b"")


@pytest.mark.parametrize(
    "path", ["/..", "/a/../b", "/%2e%2e/b", "/.", "/a/%2E", "b", "//x/..", "/a#b", "/a\nb", "/a%0d/.."]
)
async def test_a_path_that_leads_elsewhere_is_refused_and_nothing_is_sent(path: str) -> None:
    async with api() as (server, target):
        answer = await target.request("GET", path, None, {})
        assert isinstance(answer, Unanswered)
        assert (answer.failure, answer.unsent, answer.outcome().kind) == ("path_refused", True, "rejected")
        assert not server.seen


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
async def test_no_request_is_repeated_by_itself(method: str) -> None:
    async with api() as (server, target):
        server.script("nowhere", dropped(commit=False))
        answer = await target.request(method, "/x", None, {})
        assert isinstance(answer, Unanswered)
        assert (answer.failure, answer.unsent, len(server.seen)) == ("disconnected", False, 1)


async def test_no_more_connections_are_open_than_may_be_under_way() -> None:
    async with ProviderServer() as server:
        server.always["nowhere"] = late(0.02, commit=True)
        target = HttpTarget(server.url(), AddressPolicy(loopback=True), 5.0, in_flight_max=2, keep_alive=True)
        answers = await asyncio.gather(*(target.request("GET", f"/{number}", None, {}) for number in range(8)))
        await target.close()
        assert all(isinstance(answer, Answer) for answer in answers)
        assert (len(server.seen), len({ask.peer for ask in server.seen})) == (8, 2)


async def test_a_request_takes_no_longer_than_what_is_left() -> None:
    async with api() as (server, target):
        server.script("nowhere", late(5.0, commit=False))
        answer = await target.request("GET", "/x", None, {}, within_s=0.1)
        assert isinstance(answer, Unanswered)
        assert answer.failure == "timed_out"
        # Nothing is left: not "no limit", as a time-out of zero would be.
        server.always["nowhere"] = late(5.0, commit=False)
        assert isinstance(await target.request("GET", "/x", None, {}, within_s=0.0), Unanswered)


def test_plain_http_leaves_for_no_public_address() -> None:
    with pytest.raises(ValueError, match="not allowed"):
        checked_url("http://93.184.215.14/", AddressPolicy(loopback=True))
    assert checked_url("http://127.0.0.1/", AddressPolicy(loopback=True)).port is None
