"""What Slack's incoming webhooks answer, and what it means. Errors are one word of plain text."""

import re
from typing import Final

import msgspec

from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

ERRORS: Final[dict[str, OutcomeKind]] = {
    # This message
    "invalid_payload": OutcomeKind.REJECTED,
    "invalid_blocks": OutcomeKind.REJECTED,
    "no_text": OutcomeKind.REJECTED,
    "too_many_attachments": OutcomeKind.REJECTED,
    "user_not_found": OutcomeKind.REJECTED,
    # A human must act; then it goes on
    "invalid_token": OutcomeKind.AUTH,
    "action_prohibited": OutcomeKind.AUTH,
    "posting_to_general_channel_denied": OutcomeKind.AUTH,
    # The webhook or its channel is no more
    "no_active_hooks": OutcomeKind.GONE,
    "no_service": OutcomeKind.GONE,
    "no_service_id": OutcomeKind.GONE,
    "no_team": OutcomeKind.GONE,
    "channel_not_found": OutcomeKind.GONE,
    "channel_is_archived": OutcomeKind.GONE,
    # Too fast; both spellings occur
    "ratelimited": OutcomeKind.THROTTLED,
    "rate_limited": OutcomeKind.THROTTLED,
    # Slack is unwell
    "rollup_error": OutcomeKind.RETRY_DESTINATION,
    "service_unavailable": OutcomeKind.RETRY_DESTINATION,
}

WORD: Final = re.compile(r"[a-z_]{2,40}")


def outcome_of(answer: Answer, now_ms: int) -> Outcome:
    """Translate an answer. A known word decides, whatever the status beside it; else the status does."""
    text = answer.body.decode("utf-8", "replace").strip()
    if 200 <= answer.status < 300:
        # A page instead of "ok": a proxy or a login wall answered, not Slack.
        return Outcome(OutcomeKind.RETRY_DESTINATION, "html_page") if text.startswith("<") else ok()
    word = text if WORD.fullmatch(text) else _error_in_json(answer.body)
    kind = ERRORS.get(word, kind_of(answer.status))
    detail = f"{answer.status} {word}" if word in ERRORS else str(answer.status)
    if kind is OutcomeKind.THROTTLED:
        return throttled(retry_after_s(answer.retry_after or _wait_in_json(answer.body), now_ms), detail)
    return Outcome(kind, detail)


class _Throttle(msgspec.Struct):
    error: str = ""
    retry_after: float | None = None


def _decoded(body: bytes) -> _Throttle:
    try:
        return msgspec.json.decode(body, type=_Throttle)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Throttle()


def _error_in_json(body: bytes) -> str:
    return _decoded(body).error


def _wait_in_json(body: bytes) -> str | None:
    seconds = _decoded(body).retry_after
    return None if seconds is None else str(seconds)
