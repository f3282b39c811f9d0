"""The stand-in answers as Slack does, and breaks as it is told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from streams.dev.slack import Fault, SlackStandIn
from streams.dev.slack.page import markup_as_html
from streams.dev.slack.rules import refusal


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn(rate_limited=False, kept_max=3) as one:
        yield one


async def posted(url: str, payload: Any = None, raw: bytes | None = None) -> tuple[int, str, dict[str, str]]:
    body = json.dumps(payload).encode() if raw is None else raw
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
        return response.status, await response.text(), dict(response.headers)


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}} | more


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def button(text: str, url: str = "https://example.com/", action_id: str = "a") -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": text}, "url": url}


HEADER = {"type": "header", "text": {"type": "plain_text", "text": "hello"}}


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({"text": "hi"}, None),
        ({"blocks": [HEADER, section("x"), {"type": "divider"}]}, None),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 10}]}, None),
        ({"blocks": [{"type": "context", "elements": [{"type": "image"}, {"type": "mrkdwn", "text": "x"}]}]}, None),
        ([], "invalid_payload"),
        (None, "invalid_payload"),
        ({"text": 3}, "invalid_payload"),
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"attachments": [{}] * 101}, "too_many_attachments"),
        ({"blocks": [HEADER] * 51}, "invalid_blocks"),
        ({"blocks": "x"}, "invalid_blocks"),
        ({"blocks": [{"type": "unknown"}]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": [section("x" * 3_001)]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"blocks": [section("x", block_id="a"), section("x", block_id="a")]}, "invalid_blocks"),
        ({"blocks": [section("x", block_id="a" * 256)]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}]}, "invalid_blocks"),
        ({"blocks": [section("x" * 2_900)] * 5}, "msg_blocks_too_long"),
        ({"blocks": [actions(button("Open"), button("More", action_id="b"))]}, None),
        ({"blocks": [actions()]}, "invalid_blocks"),
        ({"blocks": [actions(*[button("x", action_id=str(n)) for n in range(26)])]}, "invalid_blocks"),
        ({"blocks": [actions(button("x"), button("y"))]}, "invalid_blocks"),
        ({"blocks": [actions(button("x" * 76))]}, "invalid_blocks"),
        ({"blocks": [actions(button("x", url="javascript:alert(1)"))]}, "invalid_blocks"),
        ({"blocks": [actions(button("x", url="https://example.com/" + "x" * 3_000))]}, "invalid_blocks"),
        ({"blocks": [actions(button("x", action_id=""))]}, "invalid_blocks"),
    ],
)
def test_it_refuses_what_slack_refuses(payload: Any, word: str | None) -> None:
    assert refusal(payload) == word


async def test_it_takes_a_message_and_shows_it(slack: SlackStandIn) -> None:
    payload = {"text": "fallback", "blocks": [{**HEADER, "block_id": "d-1"}, section("*bold* &lt;b&gt;")]}
    assert (await posted(slack.url("sales"), payload))[:2] == (200, "ok")
    [message] = slack.messages
    assert (message.channel, message.text, message.lines) == ("sales", "fallback", ("hello", "*bold* &lt;b&gt;"))
    assert message.delivery_id == "d-1"
    async with aiohttp.ClientSession(f"http://127.0.0.1:{slack.port}") as session:
        async with session.get("/messages?channel=sales") as response:
            [listed] = await response.json()
            assert (listed["delivery_id"], listed["payload"]) == ("d-1", payload)
        async with session.get("/messages?channel=other") as response:
            assert await response.json() == []
        async with session.get("/") as response:
            page = await response.text()
            assert "<p><strong>bold</strong> &lt;b&gt;</p>" in page
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "<script" not in page


async def test_it_answers_in_slacks_words(slack: SlackStandIn) -> None:
    assert (await posted(slack.url(), {}))[:2] == (400, "no_text")
    assert (await posted(slack.url(), raw=b"{"))[:2] == (400, "invalid_payload")
    assert (await posted(f"http://127.0.0.1:{slack.port}/services/T1/B1/x", {"text": "x"}))[:2] == (404, "no_service")
    assert not slack.messages


async def test_it_keeps_the_last_messages_alone(slack: SlackStandIn) -> None:
    for number in range(5):
        await posted(slack.url(), {"text": str(number)})
    assert [message.text for message in slack.messages] == ["2", "3", "4"]


async def test_it_allows_one_message_a_second_and_channel() -> None:
    async with SlackStandIn() as slack:
        assert [(await posted(slack.url(c), {"text": "x"}))[0] for c in ("a", "b", "a")] == [200, 200, 429]
        status, body, headers = await posted(slack.url("a"), {"text": "x"})
        assert (status, headers["Retry-After"]) == (429, "1")
        assert json.loads(body) == {"retry_after": 1, "ok": False, "error": "rate_limited"}
        await asyncio.sleep(1.0)
        assert (await posted(slack.url("a"), {"text": "x"}))[0] == 200


async def test_it_breaks_as_it_is_told_once_a_fault(slack: SlackStandIn) -> None:
    slack.faults.extend(
        [Fault(status=503, body="down"), Fault(status=429, retry_after="7"), Fault(drop=True, commit=True)]
    )
    assert (await posted(slack.url(), {"text": "1"}))[:2] == (503, "down")
    assert (await posted(slack.url(), {"text": "2"}))[2]["Retry-After"] == "7"
    with pytest.raises(aiohttp.ClientError):
        await posted(slack.url(), {"text": "3"})
    assert (await posted(slack.url(), {"text": "4"}))[0] == 200
    assert [message.text for message in slack.messages] == ["3", "4"]
    assert len(slack.attempts) == 4


async def test_a_page_from_elsewhere_cannot_read_it(slack: SlackStandIn) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{slack.port}/messages"
        async with session.get(url, headers={"Host": "evil.example"}) as response:
            assert response.status == 403


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a &amp;amp; b", "a &amp;amp; b"),
        ("<https://a.example/?x=1&amp;y=2|the &lt;page&gt;>",
         '<a href="https://a.example/?x=1&amp;y=2" rel="noreferrer">the &lt;page&gt;</a>'),
        ("<javascript:alert(1)|x>", "x"),
        ("`code` *b* a*b*c", "<code>code</code> <strong>b</strong> a*b*c"),
        ('"><script>alert(1)</script>', None),
    ],
)  # fmt: skip
def test_markup_becomes_harmless_html(text: str, shown: str | None) -> None:
    found = markup_as_html(text)
    assert found == shown if shown is not None else "<script" not in found


def test_the_command_prints_its_url_and_then_messages_until_it_is_ended() -> None:
    program = "import typer; from streams.cli.dev_slack import slack; typer.run(slack)"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert asyncio.run(posted(url, {"text": "hello\x1b[2J\nworld"}))[0] == 200
        line = process.stdout.readline()
        assert line.endswith("#team hello [2J / world\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
