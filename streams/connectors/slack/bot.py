"""Posts as a bot: a thread per account, edits in place, and never the same message twice.

Theory of operation. Slack has no idempotency key that it documents, so a message carries its delivery id as metadata.
After an attempt whose end nobody knows, the channel (or the thread) is read back as far as an attempt can lie in the
past, and what already stands there is taken for delivered. Only then is it posted again. If reading back fails, nothing
is posted: it stays unknown, and the next attempt looks again.

An edit is safe to repeat. A message that cannot be edited any more, or whose thread is gone, is posted as a new one:
told in the wrong place is better than not told.
"""

from collections.abc import Iterator
from typing import Any, Final

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.deadline import Deadline
from streams.connectors.dialects import Dialect
from streams.connectors.http import HttpTarget
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind, ok
from streams.connectors.slack.config import SlackBotConfig
from streams.connectors.slack.payload import payload_of
from streams.connectors.slack.web_api import (
    ANSWER_BYTES_MAX,
    EDIT_REFUSED,
    THREAD_GONE,
    Posted,
    Ref,
    Said,
    WebApi,
    refused,
)

EVENT_TYPE: Final = "pegel_delivery"
PAGE_MESSAGES: Final = 100
PAGES_MAX: Final = 20
CLOCKS_APART_S: Final = 600
"""Slack's clock and ours need not agree."""


class SlackBotConnector:
    def __init__(self, config: SlackBotConfig) -> None:
        self._config = config
        target = HttpTarget(
            config.api_url,
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=False,  # an idle connection that breaks just then would cost a look back
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        self._target = target
        self._api = WebApi(target, config.token.get_secret_value())

    async def deliver(self, message: Message) -> Outcome:
        deadline = Deadline(self._config.timeout_s)
        edited = Ref.read(message.edit_ref, self._config.channel)
        if edited is not None:
            outcome = await self._edited(message, edited, deadline)
            if outcome is not None:
                return outcome
        # What is about several accounts belongs into nobody's thread.
        threaded = self._config.threads and message.kind is MessageKind.NOTE
        parent = Ref.read(message.thread_ref, self._config.channel) if threaded else None
        if message.after_ambiguous:
            found = await self._found(message, parent, deadline)
            if found is not None:
                return found
        return await self._posted(message, parent, deadline)

    async def close(self) -> None:
        await self._target.close()

    async def _edited(self, message: Message, ref: Ref, deadline: Deadline) -> Outcome | None:
        """None: this message cannot be edited."""
        said = await self._api.post(
            "chat.update", self._payload(message) | {"ts": ref.ts}, deadline, message.sent_at_ms
        )
        if isinstance(said, Outcome):
            return said
        if said.ok:
            return ok(str(ref))
        return None if said.error in EDIT_REFUSED else refused(said)

    async def _posted(self, message: Message, parent: Ref | None, deadline: Deadline) -> Outcome:
        payload = self._payload(message) | {"client_msg_id": message.delivery_id}
        if parent is not None:
            payload |= {"thread_ts": parent.parent_ts, "reply_broadcast": self._config.broadcast_replies}
        said = await self._api.post("chat.postMessage", payload, deadline, message.sent_at_ms)
        if isinstance(said, Outcome):
            return said
        if said.ok:
            thread_ts = None if parent is None else parent.parent_ts
            return ok(str(Ref(self._config.channel, said.ts, thread_ts)) if said.ts else None)
        if parent is not None and said.error in THREAD_GONE:
            return await self._posted(message, None, deadline)
        return refused(said)

    async def _found(self, message: Message, parent: Ref | None, deadline: Deadline) -> Outcome | None:
        """Look for the message where it would stand; None: it does not, or not within reach."""
        if parent is not None:
            outcome = await self._looked_back(message, "conversations.replies", {"ts": parent.parent_ts}, deadline)
            if outcome is not None:
                return outcome
        return await self._looked_back(message, "conversations.history", {}, deadline)

    async def _looked_back(
        self, message: Message, method: str, place: dict[str, str], deadline: Deadline
    ) -> Outcome | None:
        oldest_s = message.sent_at_ms / 1_000 - self._config.give_up_h * 3_600 - CLOCKS_APART_S
        query = place | {
            "channel": self._config.channel,
            "oldest": f"{max(oldest_s, 0.0):.6f}",
            "limit": str(PAGE_MESSAGES),
            "include_all_metadata": "true",
        }
        for _ in range(PAGES_MAX):
            said = await self._api.get(method, query, deadline, message.sent_at_ms)
            if isinstance(said, Outcome):
                # Nothing was posted just now, but what was before is still unknown.
                unknown = said.kind is OutcomeKind.RETRY_DESTINATION
                return Outcome(OutcomeKind.AMBIGUOUS, said.detail) if unknown else said
            if not said.ok:
                return None if said.error in THREAD_GONE else refused(said)
            found = self._match(said, message.delivery_id)
            if found is not None:
                return ok(str(found))
            cursor = said.response_metadata.next_cursor
            if not cursor:
                break
            query |= {"cursor": cursor}
        return None

    def _match(self, said: Said, delivery_id: str) -> Ref | None:
        found = (one for one in said.messages if delivery_id in _delivery_ids(one))
        return next((Ref(self._config.channel, one.ts, one.thread_ts) for one in found), None)

    def _payload(self, message: Message) -> dict[str, Any]:
        event = {"delivery_id": message.delivery_id, "play": message.play}
        return payload_of(message) | {
            "channel": self._config.channel,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": event},
        }


def _delivery_ids(posted: Posted) -> Iterator[str]:
    """What a message says whose delivery it is: in its metadata, and, if those are withheld, in its first block."""
    metadata = posted.metadata or {}
    event = metadata.get("event_payload")
    if metadata.get("event_type") == EVENT_TYPE and isinstance(event, dict):
        yield str(event.get("delivery_id"))
    if posted.blocks:
        yield posted.blocks[0].block_id


def _build(config: Destination) -> SlackBotConnector:
    assert isinstance(config, SlackBotConfig)
    return SlackBotConnector(config)


SLACK_BOT = ConnectorType("slack_bot", SlackBotConfig, Dialect.SLACK, _build, deduplicates=True)
