"""What Customer.io's answers mean.

A batch is answered with 207 if some of it was refused: `errors` name the place of each in the batch. What is not named
was taken. A 400 refuses the request as a whole, for whatever is in it.
"""

from typing import Any, Final

import msgspec

from streams.connectors.batches import Answered, Refused
from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

UNREADABLE: Final = "unreadable_answer"
PARTIAL: Final = 207
MAYBE_ONE_RECORDS: Final = frozenset({400, 413, 422})
REASONS: Final = frozenset({"required", "invalid", "malformed", "parse", "too_large", "not_found", "limit"})
STATUSES: Final[dict[int, OutcomeKind]] = {
    404: OutcomeKind.AUTH,  # the URL is not Customer.io's
    410: OutcomeKind.AUTH,
}


class _Error(msgspec.Struct):
    batch_index: int | None = None
    reason: Any = None


class _Body(msgspec.Struct):
    errors: list[_Error] = msgspec.field(default_factory=list)


def failure_of(answer: Answer, now_ms: int) -> Outcome | None:
    """The outcome of an answer that is no success."""
    if 200 <= answer.status < 300:
        return None
    kind = STATUSES.get(answer.status) or kind_of(answer.status)
    detail = str(answer.status)
    if kind is OutcomeKind.THROTTLED:
        return throttled(retry_after_s(answer.retry_after, now_ms), detail)
    return Outcome(kind, detail)


def told(answer: Answer, count: int, now_ms: int) -> Answered:
    """What the answer to a batch says of each entry."""
    failed = failure_of(answer, now_ms)
    if failed is not None:
        return Refused(failed) if answer.status in MAYBE_ONE_RECORDS else [failed] * count
    if not answer.body.strip():
        return [ok()] * count
    try:
        errors = msgspec.json.decode(answer.body, type=_Body).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A page of somebody in between, or an answer that broke off.
        return [Outcome(OutcomeKind.AMBIGUOUS, UNREADABLE)] * count
    outcomes = [ok()] * count
    for error in errors:
        place = error.batch_index
        reason = error.reason if error.reason in REASONS else ""
        outcome = Outcome(OutcomeKind.REJECTED, f"{PARTIAL} {reason}".rstrip())
        if place is None or not 0 <= place < count:
            return Refused(outcome)
        outcomes[place] = outcome
    return outcomes
