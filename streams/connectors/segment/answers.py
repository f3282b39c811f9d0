"""What a tracking API's answers mean.

Segment answers 200 even to calls that it will not use; it can be seen in the source's debugger alone. A 400 is a
request that is too large or no JSON, a 413 likewise; data planes of RudderStack answer 401 and 404 to write keys and
sources that they do not know.
"""

from typing import Final

import msgspec

from streams.connectors.batches import Answered, Refused
from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

MAYBE_ONE_CALLS: Final = frozenset({400, 413, 422})
STATUSES: Final[dict[int, OutcomeKind]] = {
    404: OutcomeKind.AUTH,  # no such source, or the URL is not the data plane's
    410: OutcomeKind.AUTH,
}
UNREADABLE: Final = "unreadable_answer"
NOT_TAKEN: Final = Outcome(OutcomeKind.REJECTED, "not_taken")


class _Said(msgspec.Struct):
    success: bool = True


def told(answer: Answer, count: int, now_ms: int) -> Answered:
    """What the answer to a batch says of each call."""
    if 200 <= answer.status < 300:
        return _success(answer, count)
    kind = STATUSES.get(answer.status) or kind_of(answer.status)
    detail = str(answer.status)
    if kind is OutcomeKind.THROTTLED:
        return [throttled(retry_after_s(answer.retry_after, now_ms), detail)] * count
    failed = Outcome(kind, detail)
    return Refused(failed) if answer.status in MAYBE_ONE_CALLS else [failed] * count


def _success(answer: Answer, count: int) -> Answered:
    text = answer.body.strip()
    if not text or text.strip(b'"').lower() == b"ok":
        return [ok()] * count
    try:
        return [ok()] * count if msgspec.json.decode(text, type=_Said).success else Refused(NOT_TAKEN)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A page of somebody in between, or an answer that broke off.
        return [Outcome(OutcomeKind.AMBIGUOUS, UNREADABLE)] * count
