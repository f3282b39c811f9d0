"""What a receiver's status means, after Standard Webhooks."""

from typing import Final

from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

STATUSES: Final[dict[int, OutcomeKind]] = {
    # Anybody's deployment answers 404 for a minute; only 410 says that it is meant.
    404: OutcomeKind.RETRY_DESTINATION,
    # The gateway before the receiver is overrun.
    502: OutcomeKind.THROTTLED,
    504: OutcomeKind.THROTTLED,
}


def outcome_of(answer: Answer, now_ms: int) -> Outcome:
    kind = STATUSES.get(answer.status) or kind_of(answer.status)
    detail = "" if kind is OutcomeKind.OK else str(answer.status)
    after_s = retry_after_s(answer.retry_after, now_ms)
    if kind is OutcomeKind.THROTTLED:
        return throttled(after_s, detail)
    return Outcome(kind, detail)
