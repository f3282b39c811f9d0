"""`pegel link serve` on a real broker: a click of a signed link is an event in the log, once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientSession

from schemas.event import read_event
from streams.dumping import TopicReader
from streams.links.token import new_key
from streams.settings import Settings
from streams.topics import Topics

pytestmark = pytest.mark.kafka

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"}
TARGET = "https://app.example/accounts/acme"
EVENTS_WAIT_S = 20


@pytest.fixture
def service(deployment: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """Its address, and the environment in which commands know its keys."""
    environ = {
        **os.environ,
        "PEGEL_KAFKA__BOOTSTRAP": deployment.kafka.bootstrap,
        "PEGEL_KAFKA__TOPIC_PREFIX": deployment.kafka.topic_prefix,
        "PEGEL_LINKS__KEYS": new_key("k1"),
        "PEGEL_LINKS__BASE_URL": "https://go.example",
    }
    command = [sys.executable, "-c", "from streams.cli import main; main()", "link", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), environ
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def pegel(environ: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()


async def visited(address: str, link: str) -> None:
    async with ClientSession(headers=BROWSER) as session:
        path = link.removeprefix("https://go.example/")
        for method, headers in (("GET", {}), ("GET", {}), ("HEAD", {}), ("GET", {"User-Agent": "Slackbot 1.0"})):
            async with session.request(method, address + path, allow_redirects=False, headers=headers) as answer:
                assert answer.status == 302
                assert answer.headers["Location"] == TARGET
        async with session.get(address + "l/k1.AAAA.AAAA", allow_redirects=False) as answer:
            assert answer.status == 404


def events_of(settings: Settings, least: int) -> list[Any]:
    """The events of the topic, as soon as there are so many."""
    deadline = time.monotonic() + EVENTS_WAIT_S
    while True:
        found = list(TopicReader(settings.kafka, Topics(settings.kafka.topic_prefix).product_events).records())
        if len(found) >= least or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_a_click_is_an_event_of_the_account_and_a_preview_is_none(
    deployment: Settings, service: tuple[str, dict[str, str]]
) -> None:
    address, environ = service
    link = pegel(environ, "link", "sign", TARGET, "--account", "acme", "--delivery", "d-1", "--play", "save")
    assert json.loads(pegel(environ, "link", "show", link))["url"] == TARGET
    asyncio.run(visited(address, link))
    records = events_of(deployment, 2)
    assert [record.key() for record in records] == [b"acme", b"acme"]
    events = [read_event(record.value()) for record in records]
    assert {event.event for event in events} == {"pegel_link_clicked"}
    assert {event.context["groupId"] for event in events} == {"acme"}
    assert events[0].properties == {"delivery_id": "d-1", "play": "save", "url": TARGET}
    # Two clicks of one minute have one id, so that one of them counts; unless the minute ended between them.
    assert len({event.messageId for event in events}) == len(
        {event.timestamp[:16] for event in events if event.timestamp}
    )
