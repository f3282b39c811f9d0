"""What follows from an attempt's outcome.

The reaction fits the failure's scope (see `streams.connectors.outcome`). A repeat waits by the table below, longer each
time, with a jitter that is a function of the delivery and its failures: lanes that failed together do not come back
together, and the same run is the same run. Being throttled is no attempt. What cannot be delivered within the
destination's `give_up_h` becomes a dead letter; so nothing is tried for ever and nothing is dropped.
"""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from schemas.action import ActionOutcome, Reason
from streams.connectors.outcome import Outcome, OutcomeKind, Scope
from streams.notify.plan.delivery import Delivery

BACKOFF_S: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
JITTER: Final = 0.2
THROTTLE_S: Final = (10, 20, 40, 80, 160, 300)
"""Waits where the provider does not say how long, by how often it has throttled in a row."""

HOUR_MS: Final = 3_600_000


class Holds(StrEnum):
    """What waits for the repeat."""

    NOTHING = "nothing"
    LANE = "lane"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else bears on the decision."""

    give_up_h: float
    throttled_before: int = 0
    """Throttles of the destination in a row, before this one."""
    destination_down: bool = False
    """The breaker is open by now: it, and not the backoff of one delivery, says when to go on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the delivery: settled, or tried again at `not_before_ms`."""

    outcome: ActionOutcome
    reason: Reason
    attempts: int
    """Attempts that were made, this one included; a throttled one is none."""
    strikes: int = 0
    """Failures that lengthen the backoff."""
    not_before_ms: int = 0
    holds: Holds = Holds.NOTHING

    @property
    def final(self) -> bool:
        return self.holds is Holds.NOTHING


FINAL: Final = {
    OutcomeKind.OK: (ActionOutcome.DELIVERED, Reason.DELIVERED),
    OutcomeKind.REJECTED: (ActionOutcome.DEAD_LETTERED, Reason.REJECTED),
    OutcomeKind.GONE: (ActionOutcome.DEAD_LETTERED, Reason.DESTINATION_GONE),
}
AGAIN: Final = {
    OutcomeKind.RETRY_DESTINATION: Reason.RETRY_DESTINATION,
    OutcomeKind.RETRY_RECORD: Reason.RETRY_RECORD,
    OutcomeKind.AUTH: Reason.RETRY_AUTH,
    OutcomeKind.AMBIGUOUS: Reason.RETRY_AMBIGUOUS,
}


def verdict(delivery: Delivery, outcome: Outcome, now_ms: int, given: Circumstances) -> Verdict:
    """Decide after an attempt."""
    throttled = outcome.kind is OutcomeKind.THROTTLED
    attempts = delivery.attempts if throttled else delivery.attempts + 1
    if outcome.kind in FINAL:
        return Verdict(*FINAL[outcome.kind], attempts)
    if expired(delivery, now_ms, given.give_up_h):
        return Verdict(ActionOutcome.DEAD_LETTERED, Reason.EXPIRED, attempts)
    if throttled:
        return _throttled(delivery, outcome, now_ms, given.throttled_before)
    reason = AGAIN[outcome.kind]
    if given.destination_down and outcome.kind is not OutcomeKind.RETRY_RECORD:
        return Verdict(ActionOutcome.RETRYING, reason, attempts, delivery.strikes, now_ms, Holds.DESTINATION)
    strikes = delivery.strikes + 1
    # Not past the end: one last attempt is made just then.
    at_ms = min(now_ms + backoff_ms(delivery.delivery_id, strikes), deadline_ms(delivery, given.give_up_h))
    return Verdict(ActionOutcome.RETRYING, reason, attempts, strikes, at_ms, Holds.LANE)


def backoff_ms(delivery_id: str, strikes: int) -> int:
    """How long to wait after that many failures, jittered by up to a fifth either way."""
    base_ms = BACKOFF_S[min(strikes, len(BACKOFF_S)) - 1] * 1_000
    return round(base_ms * (1 + JITTER * _jitter(f"{delivery_id}:{strikes}")))


def deadline_ms(delivery: Delivery, give_up_h: float) -> int:
    return delivery.planned_at_ms + round(give_up_h * HOUR_MS)


def expired(delivery: Delivery, now_ms: int, give_up_h: float) -> bool:
    return now_ms >= deadline_ms(delivery, give_up_h)


def _throttled(delivery: Delivery, outcome: Outcome, now_ms: int, throttled_before: int) -> Verdict:
    after_s = outcome.after_s
    if after_s is None:
        after_s = THROTTLE_S[min(throttled_before, len(THROTTLE_S) - 1)]
    holds = Holds.LANE if outcome.scope is Scope.ACCOUNT else Holds.DESTINATION
    at_ms = now_ms + round(after_s * 1_000)
    return Verdict(ActionOutcome.RETRYING, Reason.THROTTLED, delivery.attempts, delivery.strikes, at_ms, holds)


def _jitter(seed: str) -> float:
    """From -1 to 1, the same for the same seed everywhere."""
    number = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
    return number / (2**63) - 1
