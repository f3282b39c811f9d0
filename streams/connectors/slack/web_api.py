"""Slack's Web API: a call, and what its answer means.

Nearly every answer is a 200; `ok` and `error` say how it went. A call either has a `Said` or ends the attempt with an
`Outcome`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from streams.connectors.deadline import Deadline
from streams.connectors.http import Answer, HttpTarget, Unanswered
from streams.connectors.outcome import Outcome, OutcomeKind, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

ANSWER_BYTES_MAX: Final = 8 << 20
"""A page of a channel's history with all its blocks."""

ERRORS: Final[dict[str, OutcomeKind]] = {
    # This message
    "invalid_blocks": OutcomeKind.REJECTED,
    "invalid_blocks_format": OutcomeKind.REJECTED,
    "msg_too_long": OutcomeKind.REJECTED,
    "msg_blocks_too_long": OutcomeKind.REJECTED,
    "metadata_too_large": OutcomeKind.REJECTED,
    "invalid_metadata_format": OutcomeKind.REJECTED,
    "no_text": OutcomeKind.REJECTED,
    # The channel cannot be written to
    "channel_not_found": OutcomeKind.GONE,
    "not_in_channel": OutcomeKind.GONE,
    "is_archived": OutcomeKind.GONE,
    "restricted_action": OutcomeKind.GONE,
    "restricted_action_read_only_channel": OutcomeKind.GONE,
    "restricted_action_thread_only_channel": OutcomeKind.GONE,
    # A human must act; then it goes on
    "not_authed": OutcomeKind.AUTH,
    "invalid_auth": OutcomeKind.AUTH,
    "token_revoked": OutcomeKind.AUTH,
    "token_expired": OutcomeKind.AUTH,
    "account_inactive": OutcomeKind.AUTH,
    "missing_scope": OutcomeKind.AUTH,
    # Too fast; both spellings occur
    "ratelimited": OutcomeKind.THROTTLED,
    "rate_limited": OutcomeKind.THROTTLED,
    # Slack is unwell
    "service_unavailable": OutcomeKind.RETRY_DESTINATION,
    # It may have done it
    "fatal_error": OutcomeKind.AMBIGUOUS,
    "internal_error": OutcomeKind.AMBIGUOUS,
}

STATUSES: Final[dict[int, OutcomeKind]] = {
    404: OutcomeKind.RETRY_DESTINATION,
    410: OutcomeKind.RETRY_DESTINATION,
    503: OutcomeKind.RETRY_DESTINATION,
}
"""Where the body has no word. A path of the API is never gone: somebody must correct `api_url`."""

THREAD_GONE: Final = frozenset(
    {
        "thread_not_found",
        "message_not_found",
        "cannot_reply_to_message",
        "restricted_action_thread_locked",
        "restricted_action_non_threadable_channel",
    }
)
EDIT_REFUSED: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})

TIMESTAMP: Final = r"\d{1,16}\.\d{1,10}"
REF: Final = re.compile(rf"([CGD][A-Z0-9]{{2,20}})/({TIMESTAMP})(?:/({TIMESTAMP}))?")


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a message stands: kept by the courier as text, and given back."""

    channel: str
    ts: str
    thread_ts: str | None = None

    def __str__(self) -> str:
        place = f"{self.channel}/{self.ts}"
        return place if self.thread_ts in {None, self.ts} else f"{place}/{self.thread_ts}"

    @property
    def parent_ts(self) -> str:
        return self.thread_ts or self.ts

    @classmethod
    def read(cls, text: str | None, channel: str) -> "Ref | None":
        """None if it is none, or one of another channel: the destination has moved since."""
        found = REF.fullmatch(text or "")
        return cls(*found.groups()) if found and found[1] == channel else None


class Block(msgspec.Struct):
    block_id: str = ""


class Posted(msgspec.Struct):
    """A message as the API tells of it. Of everything else in an answer nothing is read."""

    ts: str = ""
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    blocks: list[Block] = []


class _Next(msgspec.Struct):
    next_cursor: str = ""


class Said(msgspec.Struct):
    ok: bool
    error: str = ""
    ts: str = ""
    messages: list[Posted] = []
    response_metadata: _Next = msgspec.field(default_factory=_Next)


@dataclass(frozen=True, slots=True)
class WebApi:
    target: HttpTarget
    token: str = field(repr=False)

    async def post(self, method: str, payload: Mapping[str, Any], deadline: Deadline, now_ms: int) -> Said | Outcome:
        headers = {**self._authorization(), "Content-Type": "application/json; charset=utf-8"}
        body = msgspec.json.encode(payload)
        answer = await self.target.request("POST", f"/{method}", body, headers, within_s=deadline.left_s)
        return _read(answer, now_ms)

    async def get(self, method: str, query: Mapping[str, str], deadline: Deadline, now_ms: int) -> Said | Outcome:
        """Methods that only read take no JSON."""
        path = f"/{method}?{urlencode(query)}"
        answer = await self.target.request("GET", path, None, self._authorization(), within_s=deadline.left_s)
        return _read(answer, now_ms)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def refused(said: Said) -> Outcome:
    """The outcome of an `ok: false`. A word that is not in the table is not repeated: it may be anything."""
    kind = ERRORS.get(said.error, OutcomeKind.REJECTED)
    detail = said.error if said.error in ERRORS else "unknown_error"
    return throttled(None, detail) if kind is OutcomeKind.THROTTLED else Outcome(kind, detail)


def _read(answer: Answer | Unanswered, now_ms: int) -> Said | Outcome:
    if isinstance(answer, Unanswered):
        return answer.outcome()
    said = _decoded(answer)
    if answer.status == 429:
        return throttled(retry_after_s(answer.retry_after, now_ms), "429")
    if said is not None and (said.ok or said.error):
        kind = ERRORS.get(said.error)
        if kind is OutcomeKind.THROTTLED:
            return throttled(retry_after_s(answer.retry_after, now_ms), said.error)
        if answer.status == 200 or kind is not None:
            return said
    return _unreadable(answer.status)


def _unreadable(status: int) -> Outcome:
    """No word of Slack's: a proxy, a login page, a gateway in between. What it did with the message nobody knows."""
    if status // 100 == 2:
        return Outcome(OutcomeKind.AMBIGUOUS, "unreadable_answer")
    kind = STATUSES.get(status) or kind_of(status)
    if status // 100 == 5 and kind is OutcomeKind.RETRY_DESTINATION and status != 503:
        kind = OutcomeKind.AMBIGUOUS
    return Outcome(kind, str(status))


def _decoded(answer: Answer) -> Said | None:
    if not answer.complete:
        return None
    try:
        return msgspec.json.decode(answer.body, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
