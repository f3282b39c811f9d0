"""What is the bot's own: threads, edits, looking back, and that nothing is told twice."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.connectors.message import Link, Message, MessageKind, Rendered
from streams.connectors.outcome import OutcomeKind as K
from streams.connectors.slack.bot import PAGES_MAX, SlackBotConnector
from streams.connectors.slack.config import SlackBotConfig
from streams.connectors.slack.payload import mention, payload_of
from streams.connectors.slack.web_api import ERRORS, Ref, Said, refused
from tests.providers.faults import Fault, dropped, happening, late, status
from tests.providers.server import ProviderServer
from tests.providers.slack import CHANNEL, TOKEN, Channel, SlackApi
from tests.unit.connectors.kit import NOW_MS, message
from tests.unit.connectors.kits.slack import BotRig

POST, HISTORY, REPLIES = "chat.postMessage", "conversations.history", "conversations.replies"


class World:
    def __init__(self, rig: BotRig, connector: SlackBotConnector) -> None:
        self.api = rig.api
        self.server = rig.server
        self.connector = connector

    @property
    def channel(self) -> Channel:
        return self.api.channels[CHANNEL]

    async def told(self, one: Message) -> str:
        """Deliver; returns the ref."""
        outcome = await self.connector.deliver(one)
        assert (outcome.kind, outcome.detail) == (K.OK, "")
        assert outcome.ref is not None
        self.api.clock.advance(1.0)
        return outcome.ref

    def words(self) -> list[str]:
        return [stored.texts[0] for stored in self.channel.messages]


@asynccontextmanager
async def world(timeout_s: float = 5.0, **config: Any) -> AsyncIterator[World]:
    api = SlackApi()
    async with ProviderServer(api) as server:
        rig = BotRig(api, server)
        connector = SlackBotConnector(rig.config(timeout_s, **config))
        try:
            yield World(rig, connector)
        finally:
            await connector.close()


def news(number: int, **more: Any) -> Message:
    return message(title=f"news {number}", delivery_id=f"d-{number}", **more)


async def test_the_first_message_of_an_account_is_the_parent_of_all_later_ones() -> None:
    async with world() as w:
        first = await w.told(news(1))
        second = await w.told(news(2, thread_ref=first))
        # Whichever ref is kept, the thread is the same.
        await w.told(news(3, thread_ref=second))
        parent, *replies = w.channel.messages
        assert parent.thread_ts is None
        assert [reply.thread_ts for reply in replies] == [parent.ts, parent.ts]
        assert not any(reply.broadcast for reply in replies)
        assert Ref.read(second, CHANNEL) == Ref(CHANNEL, replies[0].ts, parent.ts)


async def test_replies_are_shown_in_the_channel_where_that_is_wanted() -> None:
    async with world(broadcast_replies=True) as w:
        first = await w.told(news(1))
        await w.told(news(2, thread_ref=first))
        assert [stored.broadcast for stored in w.channel.messages] == [False, True]


async def test_without_threads_everything_stands_in_the_channel() -> None:
    async with world(threads=False) as w:
        first = await w.told(news(1))
        await w.told(news(2, thread_ref=first))
        assert [stored.thread_ts for stored in w.channel.messages] == [None, None]


@pytest.mark.parametrize("kind", [MessageKind.DIGEST, MessageKind.LIST])
async def test_what_is_about_several_accounts_belongs_into_nobodys_thread(kind: MessageKind) -> None:
    async with world() as w:
        first = await w.told(news(1))
        await w.told(news(2, thread_ref=first, kind=kind))
        assert [stored.thread_ts for stored in w.channel.messages] == [None, None]


@pytest.mark.parametrize("ref", ["C0OTHER/1772368498.000100", "nonsense", "", "C0TEAM/1772368498.000100\n"])
async def test_a_ref_of_another_channel_or_of_nothing_is_no_thread(ref: str) -> None:
    async with world() as w:
        await w.told(news(1, thread_ref=ref, edit_ref=ref))
        assert [stored.thread_ts for stored in w.channel.messages] == [None]
        assert len(w.server.seen) == 1


async def test_a_message_whose_thread_is_gone_is_told_in_the_channel() -> None:
    async with world() as w:
        first = await w.told(news(1))
        w.channel.messages.clear()
        ref = await w.told(news(2, thread_ref=first))
        assert [stored.thread_ts for stored in w.channel.messages] == [None]
        assert Ref.read(ref, CHANNEL) == Ref(CHANNEL, w.channel.messages[0].ts)


async def test_an_edit_takes_the_earlier_messages_place_however_often_it_is_made() -> None:
    async with world() as w:
        first = await w.told(news(1))
        w.server.script("chat.update", dropped(commit=True))
        edit = news(2, edit_ref=first)
        assert (await w.connector.deliver(edit)).kind is K.AMBIGUOUS
        assert await w.told(replace(edit, attempt=2, after_ambiguous=True)) == first
        assert w.words() == ["news 2"]
        assert w.channel.messages[0].edits == 2
        assert not w.server.asked(HISTORY)


async def test_what_cannot_be_edited_any_more_is_told_anew_and_once() -> None:
    async with world() as w:
        first = await w.told(news(1))
        w.channel.messages.clear()
        w.server.script(POST, dropped(commit=True))
        edit = news(2, edit_ref=first)
        assert (await w.connector.deliver(edit)).kind is K.AMBIGUOUS
        await w.told(replace(edit, attempt=2, after_ambiguous=True))
        assert w.words() == ["news 2"]


@pytest.mark.parametrize("fault", [dropped(commit=True), status(500, commit=True), status(502, b"<html>", commit=True)])
@pytest.mark.parametrize("in_thread", [True, False])
async def test_what_got_through_is_found_and_not_told_again(*, fault: Fault, in_thread: bool) -> None:
    async with world() as w:
        first = await w.told(news(1))
        thread = {"thread_ref": first} if in_thread else {}
        w.server.script(POST, fault)
        assert (await w.connector.deliver(news(2, **thread))).kind is K.AMBIGUOUS
        ref = await w.told(news(2, attempt=2, after_ambiguous=True, **thread))
        assert w.words() == ["news 1", "news 2"]
        found = Ref.read(ref, CHANNEL)
        assert found is not None
        assert found.ts == w.channel.messages[1].ts
        assert found.parent_ts == w.channel.messages[0 if in_thread else 1].ts


async def test_what_got_through_is_found_by_its_first_block_where_metadata_are_withheld() -> None:
    async with world() as w:
        w.api.metadata_withheld = True
        await w.told(news(1))
        await w.told(news(1, attempt=2, after_ambiguous=True))
        await w.told(news(2, after_ambiguous=True))
        assert w.words() == ["news 1", "news 2"]


async def test_what_did_not_get_through_is_told() -> None:
    async with world() as w:
        w.server.script(POST, dropped(commit=False))
        assert (await w.connector.deliver(news(1))).kind is K.AMBIGUOUS
        await w.told(news(1, attempt=2, after_ambiguous=True))
        assert w.words() == ["news 1"]


async def test_it_is_found_however_many_pages_ago() -> None:
    async with world() as w:
        w.api.page_messages_max = 2
        for number in range(9):
            await w.told(news(number))
        await w.told(news(0, attempt=2, after_ambiguous=True))
        assert len(w.channel.messages) == 9
        assert len(w.server.asked(HISTORY)) == 5


async def test_looking_back_ends() -> None:
    async with world() as w:
        w.api.page_messages_max = 1
        for number in range(PAGES_MAX + 5):
            await w.told(news(number))
        await w.told(news(99, after_ambiguous=True))
        assert len(w.server.asked(HISTORY)) == PAGES_MAX


async def test_looking_back_goes_no_further_than_an_attempt_can_lie() -> None:
    async with world(give_up_h=2.0) as w:
        await w.told(news(1, after_ambiguous=True))
        [ask] = w.server.asked(HISTORY)
        assert float(ask.query["oldest"]) == pytest.approx(NOW_MS / 1_000 - 2 * 3_600 - 600, abs=1.0)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (status(200, b'{"ok":false,"error":"missing_scope"}'), K.AUTH),
        (status(429, headers={"Retry-After": "7"}), K.THROTTLED),
        (status(503), K.AMBIGUOUS),
        (dropped(commit=False), K.AMBIGUOUS),
        (status(200, b"<html>"), K.AMBIGUOUS),
        (status(200, b'{"ok":true,"messages":7}'), K.AMBIGUOUS),
    ],
)
async def test_as_long_as_looking_back_fails_nothing_is_told(fault: Fault, kind: K) -> None:
    async with world() as w:
        w.server.script(HISTORY, fault)
        assert (await w.connector.deliver(news(1, after_ambiguous=True))).kind is kind
        assert w.words() == []
        assert w.server.asked(POST) == []


async def test_metadata_of_other_apps_and_other_deliveries_is_not_taken_for_ours() -> None:
    async with world() as w:
        await w.told(news(1))
        for metadata in (
            {"event_type": "other", "event_payload": {"delivery_id": "d-2"}},
            {"event_type": "pegel_delivery", "event_payload": {"delivery_id": "d-1"}},
            {"event_type": "pegel_delivery", "event_payload": {}},
        ):
            w.channel.messages[0].payload["metadata"] = metadata
            await w.told(news(2, after_ambiguous=True))
            assert w.channel.messages.pop().payload["metadata"]["event_payload"]["delivery_id"] == "d-2"


async def test_all_requests_of_a_delivery_share_its_time() -> None:
    async with world(timeout_s=0.6) as w:
        w.server.script(HISTORY, late(0.4, commit=True))
        w.server.script(POST, late(30.0, commit=True))
        began = time.monotonic()
        outcome = await w.connector.deliver(news(1, after_ambiguous=True))
        assert (outcome.kind, outcome.detail) == (K.AMBIGUOUS, "timed_out")
        assert time.monotonic() - began < 5.0


async def test_a_channel_takes_one_message_a_second() -> None:
    async with world() as w:
        assert (await w.connector.deliver(news(1))).kind is K.OK
        outcome = await w.connector.deliver(news(2))
        assert (outcome.kind, outcome.after_s) == (K.THROTTLED, 1.0)
        w.api.clock.advance(1.0)
        assert (await w.connector.deliver(news(2))).kind is K.OK


async def test_a_token_that_expires_is_a_matter_for_people() -> None:
    async with world() as w:
        w.server.script(POST, happening(lambda: setattr(w.api, "token", "another")))
        outcome = await w.connector.deliver(news(1))
        assert (outcome.kind, outcome.detail) == (K.AUTH, "invalid_auth")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *[(word, K.GONE) for word in ("channel_not_found", "not_in_channel", "is_archived", "restricted_action")],
        *[
            (word, K.REJECTED)
            for word in ("invalid_blocks", "msg_too_long", "msg_blocks_too_long", "metadata_too_large")
        ],
        *[(w, K.AUTH) for w in ("invalid_auth", "token_revoked", "token_expired", "account_inactive", "missing_scope")],
        ("service_unavailable", K.RETRY_DESTINATION),
        *[(word, K.AMBIGUOUS) for word in ("fatal_error", "internal_error")],
        *[(word, K.THROTTLED) for word in ("ratelimited", "rate_limited")],
    ],
)
def test_slacks_words_decide(word: str, kind: K) -> None:
    assert (refused(Said(ok=False, error=word)).kind, refused(Said(ok=False, error=word)).detail) == (kind, word)
    assert ERRORS[word] is kind


def test_a_word_that_is_not_known_rejects_and_is_not_repeated() -> None:
    outcome = refused(Said(ok=False, error="xoxb-very-secret-token"))
    assert (outcome.kind, outcome.detail) == (K.REJECTED, "unknown_error")


@pytest.mark.parametrize("change", ["member", "archived"])
async def test_a_channel_that_cannot_be_written_to_is_gone(change: str) -> None:
    async with world() as w:
        setattr(w.channel, change, change == "archived")
        assert (await w.connector.deliver(news(1))).kind is K.GONE


WAYS = {
    "well": Fault(),
    "lost": dropped(commit=False),
    "landed": dropped(commit=True),
    "error": status(200, b'{"ok":false,"error":"internal_error"}', commit=True),
    "gateway": status(502, commit=False),
    "unwell": status(503),
    "fast": status(429, headers={"Retry-After": "1"}),
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(WAYS))), max_size=12), st.booleans())
def test_whatever_happens_each_message_stands_there_once_and_in_order(
    faults: list[tuple[str, str]],
    in_thread: bool,  # noqa: FBT001 - Hypothesis gives it
) -> None:
    async def run() -> None:
        async with world() as w:
            w.server.script(POST, *(WAYS[post] for post, _ in faults))
            w.server.script(HISTORY, *(WAYS[look] for _, look in faults))
            w.server.script(REPLIES, *(WAYS[look] for _, look in faults))
            thread: str | None = None
            for number in range(4):
                attempt, unknown = 1, False
                while True:
                    one = news(number, attempt=attempt, after_ambiguous=unknown, thread_ref=thread)
                    outcome = await w.connector.deliver(one)
                    w.api.clock.advance(1.0)
                    if outcome.kind is K.OK:
                        break
                    attempt, unknown = attempt + 1, unknown or outcome.kind is K.AMBIGUOUS
                    assert attempt < 50
                thread = thread or (outcome.ref if in_thread else None)
            assert w.words() == [f"news {number}" for number in range(4)]

    asyncio.run(run())


def test_owners_with_an_id_are_called_and_others_only_named() -> None:
    assert mention("U0ANNA") == "<@U0ANNA>"
    assert mention("W0ANNA") == "<@W0ANNA>"
    assert mention("S0SALES") == "<!subteam^S0SALES>"
    assert mention("anna & co <!channel>") == "anna &amp; co &lt;!channel&gt;"
    assert mention("U0ANNA> <!here") == "U0ANNA&gt; &lt;!here"
    footer = payload_of(message(owner="U0ANNA"))["blocks"][-1]["elements"]
    assert footer[1] == {"type": "mrkdwn", "text": "for <@U0ANNA>", "verbatim": True}
    assert len(payload_of(message(owner=" "))["blocks"][-1]["elements"]) == 1


def test_links_are_buttons_and_what_is_no_web_address_is_left_out() -> None:
    links = (
        Link("Open in CRM", "https://crm.example/a?b=c&d=e"),
        Link("Run", "javascript:alert(1)"),
        Link("", "https://example.com/"),
        Link("x" * 100, "http://example.com/"),
        *(Link(f"more {number}", f"https://example.com/{number}") for number in range(9)),
    )
    blocks = payload_of(message(rendered=Rendered("t", "b", links)))["blocks"]
    [actions] = [block for block in blocks if block["type"] == "actions"]
    assert [button["text"]["text"] for button in actions["elements"]] == [
        "Open in CRM", "x" * 75, "more 0", "more 1", "more 2",
    ]  # fmt: skip
    assert actions["elements"][0]["url"] == "https://crm.example/a?b=c&d=e"


@pytest.mark.parametrize(
    "wrong",
    [{"token": ""}, {"token": "very secret"}, {"token": "very-secret\r\nX: y"}, {"channel": "#sales"}, {"channel": ""}],
)
def test_a_token_or_channel_that_cannot_be_one_is_refused_without_being_repeated(wrong: dict[str, str]) -> None:
    good = {"id": "team", "type": "slack_bot", "token": TOKEN, "channel": CHANNEL}
    SlackBotConfig.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        SlackBotConfig.model_validate(good | wrong)
    assert "secret" not in str(caught.value)


def test_the_payload_of_a_post_names_its_delivery_twice() -> None:
    sent = json.loads(json.dumps(payload_of(message())))
    assert sent["blocks"][0]["block_id"] == message().delivery_id
