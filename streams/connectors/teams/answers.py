"""What a workflow's answers mean.

A workflow takes a message with 202 and posts it afterwards: whether that went well it does not say. Webhooks of the
older kind answer 200 whatever happens, with the status that Teams gave in a sentence.
"""

import re
from typing import Final

import msgspec

from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

ERRORS: Final[dict[str, OutcomeKind]] = {
    # A human must turn it on again, or correct the URL; then it goes on
    "WorkflowTriggerIsNotEnabled": OutcomeKind.AUTH,
    "DirectApiAuthorizationRequired": OutcomeKind.AUTH,
    "WorkflowNotFound": OutcomeKind.GONE,
}

TOLD_STATUS: Final = re.compile(rb"returned HTTP error (\d{3})")


def outcome_of(answer: Answer, now_ms: int) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        if answer.body.lstrip().startswith(b"<"):
            # A page: a proxy or a login wall answered, not the workflow.
            return Outcome(OutcomeKind.RETRY_DESTINATION, "html_page")
        told = TOLD_STATUS.search(answer.body)
        if told is None:
            return ok()
        status = int(told[1])
    word = _word(answer.body)
    kind = ERRORS.get(word, kind_of(status))
    if kind is OutcomeKind.THROTTLED:
        return throttled(retry_after_s(answer.retry_after, now_ms), str(status))
    if kind is OutcomeKind.OK:
        # It says that there was an error, and calls it a success: it cannot be told what became of the message.
        return Outcome(OutcomeKind.AMBIGUOUS, str(status))
    return Outcome(kind, f"{status} {word}" if word in ERRORS else str(status))


class _Error(msgspec.Struct):
    code: str = ""


class _Said(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def _word(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Said).error.code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
