"""The service behind links: it leads where we signed, nowhere else, and waits for nobody."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from streams.links.clicks import Clicks
from streams.links.server import LinkService
from streams.links.token import Link, Refusal, keys_of, new_key, sign
from streams.links.visit import Visit
from streams.metric_registry import Metrics
from streams.metrics import LINK_EVENTS, LINK_REQUESTS

KEYS = keys_of(new_key("k1"))
NOW_MS = 1_772_323_200_000
LINK = Link("d-1", "save", "acme", "https://app.example/accounts/acme?tab=1#usage", NOW_MS // 1_000 + 60)
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"}


@dataclass
class Running:
    session: ClientSession
    metrics: Metrics
    clicks: list[tuple[Link, int]] = field(default_factory=list)
    now_ms: int = NOW_MS

    async def ask(self, path: str, method: str = "GET", **headers: str) -> ClientResponse:
        return await self.session.request(method, path, allow_redirects=False, headers={**BROWSER, **headers})

    def asked(self, outcome: str) -> float:
        found = self.metrics.registry.get_sample_value("pegel_link_requests_total", {"outcome": outcome})
        assert found is not None
        return found


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    metrics = Metrics("link")
    clicks: list[tuple[Link, int]] = []
    found: list[Running] = []
    service = LinkService(KEYS, lambda link, at_ms: clicks.append((link, at_ms)), metrics, lambda: found[0].now_ms)
    async with service.served("127.0.0.1", 0) as address, ClientSession(address) as session:
        found.append(Running(session, metrics, clicks))
        yield found[0]


PATH = "/l/" + sign(LINK, KEYS)


async def test_a_click_leads_exactly_where_was_signed_and_is_recorded(running: Running) -> None:
    answer = await running.ask(PATH)
    assert answer.status == 302
    assert answer.headers["Location"] == LINK.url
    assert answer.headers["Cache-Control"] == "no-store"
    assert running.clicks == [(LINK, NOW_MS)]
    assert running.asked("click") == 1


async def test_a_look_ahead_is_led_on_and_not_recorded(running: Running) -> None:
    assert (await running.ask(PATH, "HEAD")).headers["Location"] == LINK.url
    assert (await running.ask(PATH, **{"Sec-Purpose": "prefetch"})).status == 302
    assert (await running.ask(PATH, **{"User-Agent": "Slackbot-LinkExpanding 1.0"})).status == 302
    assert running.clicks == []
    assert (running.asked("head"), running.asked("prefetch"), running.asked("robot")) == (1, 1, 1)


@pytest.mark.parametrize(
    "path",
    ["/l/https://evil.example/", "/l/k1.e30.AAAA", PATH + "x", PATH[:-1], "/l/", "/", "/l/" + "a" * 3_000,
     PATH + "?url=https://evil.example/", "/l/%0d%0aLocation:%20https://evil.example/"],
)  # fmt: skip
async def test_nothing_else_leads_anywhere(running: Running, path: str) -> None:
    answer = await running.ask(path)
    if path.startswith(PATH + "?"):
        assert answer.headers["Location"] == LINK.url
        return
    assert answer.status == 404
    assert "Location" not in answer.headers
    assert "evil" not in await answer.text()
    assert running.clicks == []


async def test_an_expired_link_says_so_and_is_not_recorded(running: Running) -> None:
    running.now_ms = LINK.expires_at_s * 1_000
    answer = await running.ask(PATH)
    assert answer.status == 410
    assert "Location" not in answer.headers
    assert running.clicks == []


async def test_only_get_and_head_are_answered(running: Running) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await running.ask(PATH, method)).status == 405
    assert running.clicks == []


async def test_what_comes_along_as_a_body_is_not_read(running: Running) -> None:
    answer = await running.session.get(PATH, data=b"x" * 100_000, allow_redirects=False, headers=BROWSER)
    assert answer.headers["Location"] == LINK.url
    assert running.clicks == [(LINK, NOW_MS)]


async def test_it_says_that_it_lives_and_what_it_counted(running: Running) -> None:
    assert (await running.ask("/livez")).status == 200
    await running.ask(PATH)
    shown = await (await running.ask("/metrics")).text()
    assert 'pegel_link_requests_total{outcome="click"} 1.0' in shown
    assert "acme" not in shown


def test_every_outcome_is_declared() -> None:
    assert set(LINK_REQUESTS) == {*Visit, *Refusal}


# --- clicks on their way to Kafka ---


class Queue:
    """As a producer of librdkafka: takes so many, reports when polled."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting: list[tuple[tuple[Any, ...], Any]] = []
        self.fails = False

    def produce(self, topic: str, value: bytes, key: bytes, *, timestamp: int, on_delivery: Any) -> None:
        if len(self.waiting) >= self.size:
            raise BufferError
        self.waiting.append(((topic, value, key, timestamp), on_delivery))

    def poll(self, _timeout: float) -> int:
        for _, report in self.waiting:
            report(Error() if self.fails else None, None)
        self.waiting.clear()
        return 0

    def flush(self, _timeout: float) -> int:
        return len(self.waiting)


class Error:
    def str(self) -> str:
        return "Local: Message timed out"


def outcomes(metrics: Metrics) -> list[float | None]:
    return [metrics.registry.get_sample_value("pegel_link_events_total", {"outcome": word}) for word in LINK_EVENTS]


async def reported(clicks: Clicks) -> None:
    reports = asyncio.ensure_future(clicks.reports())
    await asyncio.sleep(0)
    reports.cancel()


async def test_a_click_is_written_with_its_account_as_key_and_counted_when_kafka_has_it() -> None:
    queue, metrics = Queue(10), Metrics("link")
    clicks = Clicks(queue, "product.events.v1", metrics)
    clicks.record(LINK, NOW_MS)
    (topic, _, key, timestamp), _ = queue.waiting[0]
    assert (topic, key, timestamp) == ("product.events.v1", b"acme", NOW_MS)
    assert outcomes(metrics) == [0, 0]
    await reported(clicks)
    assert outcomes(metrics) == [1, 0]


async def test_what_does_not_fit_into_the_queue_is_counted_as_lost_and_holds_nobody_up() -> None:
    queue, metrics = Queue(2), Metrics("link")
    clicks = Clicks(queue, "t", metrics)
    for _ in range(5):
        clicks.record(LINK, NOW_MS)
    assert len(queue.waiting) == 2
    assert outcomes(metrics) == [0, 3]


async def test_what_kafka_does_not_take_is_lost_be_it_now_or_at_the_end() -> None:
    queue, metrics = Queue(2), Metrics("link")
    clicks = Clicks(queue, "t", metrics)
    queue.fails = True
    clicks.record(LINK, NOW_MS)
    await reported(clicks)
    clicks.record(LINK, NOW_MS)
    await clicks.close()
    assert outcomes(metrics) == [0, 2]
