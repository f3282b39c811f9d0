"""Slack: incoming webhooks and the part of the Web API that a bot needs. Channels keep state and take one a second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from streams.dev.slack.rules import refusal, texts_of
from tests.providers.clock import ManualClock
from tests.providers.server import Ask, Refused, Reply, Route, json_reply, text_reply

TOKEN: Final = "xoxb-very-secret-token"
HOOK: Final = "/services/T0/B0/very-secret-token"
CHANNEL: Final = "C0TEAM"
SECONDS_A_MESSAGE: Final = 1.0
METADATA_CHARS_MAX: Final = 4_000
LIMIT_MAX: Final = 999

Said = dict[str, Any]


@dataclass
class Stored:
    ts: str
    payload: Said
    thread_ts: str | None = None
    broadcast: bool = False
    edits: int = 0

    @property
    def delivery_id(self) -> str:
        """Pegel's, from the metadata; a webhook's message has it as its first block's id."""
        metadata = self.payload.get("metadata")
        if metadata:
            return str(metadata["event_payload"]["delivery_id"])
        return str(self.payload["blocks"][0]["block_id"])

    @property
    def texts(self) -> list[str]:
        return texts_of(self.payload.get("blocks") or [])


@dataclass
class Channel:
    messages: list[Stored] = field(default_factory=list)
    member: bool = True
    archived: bool = False
    next_at_s: float = 0.0

    def find(self, ts: str) -> Stored | None:
        return next((message for message in self.messages if message.ts == ts), None)


class SlackApi:
    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.token = TOKEN
        self.scopes = {"chat:write", "channels:history"}
        self.channels = {CHANNEL: Channel()}
        self.hook = Channel()
        """What the incoming webhook posts to."""
        self.page_messages_max = LIMIT_MAX
        self.metadata_withheld = False
        self._last_ts = 0.0

    def routes(self) -> list[Route]:
        return [
            Route("webhook", "POST", HOOK, self._webhook),
            Route("no_webhook", "*", "/services/{rest:.*}", lambda _: text_reply("no_service", 404)),
            Route("chat.postMessage", "POST", "/api/chat.postMessage", self._method(self._post, "chat:write")),
            Route("chat.update", "POST", "/api/chat.update", self._method(self._update, "chat:write")),
            Route("conversations.history", "GET", "/api/conversations.history",
                  self._method(self._history, "channels:history")),
            Route("conversations.replies", "GET", "/api/conversations.replies",
                  self._method(self._replies, "channels:history")),
        ]  # fmt: skip

    def _webhook(self, ask: Ask) -> Reply:
        payload = ask.json()
        if not self._turn(self.hook):
            body = {"retry_after": 1, "ok": False, "error": "rate_limited"}
            return json_reply(body, 429, {"Retry-After": "1"})
        if self.hook.archived:
            return text_reply("channel_is_archived", 410)
        word = refusal(payload)
        if word is not None:
            return text_reply(word, 400)
        self.hook.messages.append(Stored(self._ts(), payload))
        return text_reply("ok")

    def _method(self, answer: Callable[[Ask], Said], scope: str) -> Callable[[Ask], Reply]:
        def answered(ask: Ask) -> Reply:
            if ask.bearer is None:
                return _error("not_authed")
            if ask.bearer != self.token:
                return _error("invalid_auth")
            if scope not in self.scopes:
                return _error("missing_scope")
            return json_reply({"ok": True, **answer(ask)})

        return answered

    def _post(self, ask: Ask) -> Said:
        payload, channel = self._writable(ask)
        thread_ts = payload.get("thread_ts")
        if thread_ts is not None and channel.find(thread_ts) is None:
            raise Refused(_error("thread_not_found"))
        if not self._turn(channel):
            raise Refused(json_reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "1"}))
        stored = Stored(self._ts(), payload, thread_ts, bool(payload.get("reply_broadcast")))
        channel.messages.append(stored)
        return {"channel": payload["channel"], "ts": stored.ts}

    def _update(self, ask: Ask) -> Said:
        payload, channel = self._writable(ask)
        stored = channel.find(str(payload.get("ts")))
        if stored is None:
            raise Refused(_error("message_not_found"))
        stored.payload, stored.edits = payload, stored.edits + 1
        return {"channel": payload["channel"], "ts": stored.ts, "text": payload.get("text", "")}

    def _writable(self, ask: Ask) -> tuple[Said, Channel]:
        if ask.headers.get("Content-Type", "").split(";")[0] != "application/json":
            raise Refused(_error("invalid_form_data"))
        payload = ask.json()
        if not isinstance(payload, dict):
            raise Refused(_error("invalid_json"))
        channel = self._channel(payload.get("channel"))
        if channel.archived:
            raise Refused(_error("is_archived"))
        word = refusal(payload) or _metadata_refusal(payload.get("metadata"))
        if word is not None:
            raise Refused(_error(word))
        return payload, channel

    def _history(self, ask: Ask) -> Said:
        channel = self._channel(ask.query.get("channel"))
        top = [m for m in reversed(channel.messages) if m.thread_ts is None or m.broadcast]
        return self._page(ask, top)

    def _replies(self, ask: Ask) -> Said:
        channel = self._channel(ask.query.get("channel"))
        parent = ask.query.get("ts", "")
        if channel.find(parent) is None:
            raise Refused(_error("thread_not_found"))
        return self._page(ask, [m for m in channel.messages if parent in {m.ts, m.thread_ts}])

    def _page(self, ask: Ask, messages: list[Stored]) -> Said:
        limit = int(ask.query.get("limit", "100"))
        if not 1 <= limit <= LIMIT_MAX:
            raise Refused(_error("invalid_limit"))
        limit = min(limit, self.page_messages_max)
        oldest = float(ask.query.get("oldest", "0"))
        wanted = [m for m in messages if float(m.ts) > oldest]
        start = int(ask.query.get("cursor", "0"))
        more = len(wanted) > start + limit
        with_metadata = ask.query.get("include_all_metadata") == "true" and not self.metadata_withheld
        return {
            "messages": [_shown(m, with_metadata=with_metadata) for m in wanted[start : start + limit]],
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + limit) if more else ""},
        }

    def _channel(self, name: Any) -> Channel:
        channel = self.channels.get(str(name))
        if channel is None:
            raise Refused(_error("channel_not_found"))
        if not channel.member:
            raise Refused(_error("not_in_channel"))
        return channel

    def _turn(self, channel: Channel) -> bool:
        """Take the channel's turn, if it is there."""
        now = self.clock()
        if now < channel.next_at_s:
            return False
        channel.next_at_s = now + SECONDS_A_MESSAGE
        return True

    def _ts(self) -> str:
        self._last_ts = max(self.clock(), self._last_ts + 0.000_1)
        return f"{self._last_ts:.6f}"


def _shown(message: Stored, *, with_metadata: bool) -> Said:
    shown: Said = {"type": "message", "ts": message.ts, "text": message.payload.get("text", "")}
    shown["blocks"] = message.payload.get("blocks") or []
    if message.thread_ts is not None:
        shown["thread_ts"] = message.thread_ts
    if with_metadata and "metadata" in message.payload:
        shown["metadata"] = message.payload["metadata"]
    return shown


def _metadata_refusal(metadata: Any) -> str | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
        return "invalid_metadata_format"
    values = metadata["event_payload"]
    if not isinstance(values, dict) or not all(
        isinstance(value, str | int | float | bool) for value in values.values()
    ):
        return "invalid_metadata_format"
    return "metadata_too_large" if len(str(metadata)) > METADATA_CHARS_MAX else None


def _error(word: str) -> Reply:
    return json_reply({"ok": False, "error": word})
