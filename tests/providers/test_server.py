"""The framework keeps what it promises to the tests that build on it."""

import aiohttp
import pytest

from tests.providers.clock import ManualClock
from tests.providers.faults import Fault, dropped, endless_body, gzip_bomb, happening, html_page, status, trickling_body
from tests.providers.server import Ask, ProviderServer, Refused, Reply, Route, json_reply


class Shelf:
    """The smallest API: takes what it is given, but not an empty body."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.broken = False

    def routes(self) -> list[Route]:
        return [Route("put", "POST", "/shelf/{name}", self._put)]

    def _put(self, ask: Ask) -> Reply:
        if not ask.body or self.broken:
            raise Refused(json_reply({"error": "empty"}, 400))
        self.kept.append(ask.body)
        return json_reply({"name": ask.params["name"]}, 201)

    def broke(self) -> None:
        self.broken = True


async def asked(server: ProviderServer, body: bytes = b"x", path: str = "/shelf/a%2Fb?c=d") -> tuple[int, bytes]:
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.post(server.url(path), data=body) as r:
        return r.status, await r.content.read(1 << 20)


async def test_requests_reach_the_api_and_are_remembered() -> None:
    shelf = Shelf()
    async with ProviderServer(shelf) as server:
        assert await asked(server) == (201, b'{"name": "a/b"}')
        assert await asked(server, b"") == (400, b'{"error": "empty"}')
        assert (await asked(server, path="/elsewhere"))[0] == 404
        assert [ask.route for ask in server.seen] == ["put", "put", "nowhere"]
        assert server.asked("put")[0].query == {"c": "d"}
    assert shelf.kept == [b"x"]


async def test_faults_are_used_up_one_a_request_and_then_comes_what_happens_always() -> None:
    shelf = Shelf()
    async with ProviderServer(shelf) as server:
        server.script("put", status(503, b"no"), status(429, commit=True), html_page(), happening(shelf.broke))
        assert await asked(server) == (503, b"no")
        assert shelf.kept == []
        assert (await asked(server))[0] == 429
        assert shelf.kept == [b"x"]
        assert (await asked(server))[1].startswith(b"<!DOCTYPE html>")
        assert (await asked(server))[0] == 400
        server.always["put"] = Fault(status=500)
        assert [(await asked(server))[0] for _ in range(2)] == [500, 500]


@pytest.mark.parametrize("commit", [True, False])
async def test_a_dropped_connection_has_landed_or_not_as_the_script_says(*, commit: bool) -> None:
    shelf = Shelf()
    async with ProviderServer(shelf) as server:
        server.script("put", dropped(commit=commit))
        with pytest.raises(aiohttp.ClientError):
            await asked(server)
    assert shelf.kept == ([b"x"] if commit else [])


async def test_bodies_may_be_endless_slow_or_bombs() -> None:
    async with ProviderServer(Shelf()) as server:
        server.script("put", gzip_bomb(), endless_body(), trickling_body())
        found, bomb = await asked(server)
        assert (found, bomb[:2], len(bomb) < 1 << 20) == (200, b"\x1f\x8b", True)
        assert len((await asked(server))[1]) > 0
        assert (await asked(server))[1] == b"x"


def test_time_passes_when_it_is_told_to() -> None:
    clock = ManualClock(5.0)
    clock.advance(1.5)
    assert clock() == 6.5
