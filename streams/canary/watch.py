"""What the canary publishes when, and what it makes of the transitions that come of it.

Theory of operation. Each account crosses alternately in and out, one crossing an interval, the accounts spread over it.
A crossing is an event that must become exactly one transition: of the watched segment, in the right direction, seen in
time. Every crossing ends in one verdict with its reason, and there is never more than one open per account.

    certain    the account is known to be on the other side: one event is the crossing
    uncertain  at the start, after anything but `seen`, and under another catalog: first an event that puts the account
               on the other side, whatever comes of that, then the crossing. Both have one key, so they stay in order

So a verdict never rests on what was remembered, a restart costs nothing, and one miss is followed by no second one
that is only its echo. Beside the crossings the accounts' sequences are followed: a number left out is a transition that
was lost, one that comes again was written twice, and both are wrong whether or not a crossing is open.

Times are seconds of one monotonic clock. This module knows no Kafka, clock or thread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.canary import CANARY_PREFIX
from schemas.transition import WireTransition
from streams.canary.crossing import Crossing, crosses
from streams.canary.ways import Side


class Outcome(StrEnum):
    SEEN = "seen"
    MISSED = "missed"
    WRONG = "wrong"


class Reason(StrEnum):
    """Why a crossing ended as it did."""

    AS_EXPECTED = "as_expected"
    NOT_IN_TIME = "not_in_time"
    OTHER_DIRECTION = "other_direction"
    NUMBER_LEFT_OUT = "number_left_out"
    WRITTEN_TWICE = "written_twice"
    RIVAL = "rival"
    """Somebody else publishes for this canary's accounts: a second one of its name."""


OUTCOMES: Final = {
    Reason.AS_EXPECTED: Outcome.SEEN,
    Reason.NOT_IN_TIME: Outcome.MISSED,
    Reason.OTHER_DIRECTION: Outcome.WRONG,
    Reason.NUMBER_LEFT_OUT: Outcome.WRONG,
    Reason.WRITTEN_TWICE: Outcome.WRONG,
    Reason.RIVAL: Outcome.WRONG,
}


@dataclass(frozen=True, slots=True)
class Rhythm:
    interval_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Errand:
    """An event to be published."""

    partition: int
    account: str
    side: Side
    message_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a crossing of a partition's account ended; `seconds` after its event was published."""

    partition: int
    account: str
    reason: Reason
    seconds: float | None = None

    @property
    def outcome(self) -> Outcome:
        return OUTCOMES[self.reason]


@dataclass(frozen=True, slots=True)
class _Open:
    message_id: str
    side: Side
    since_s: float


@dataclass(slots=True)
class _Account:
    name: str
    partition: int
    due_s: float
    side: Side = Side.IN
    certain: bool = False
    open: _Open | None = None
    sequence: int | None = None


class Watch:
    """`run` tells this run's events from those of an earlier one; `repeats`: the workers may write a thing twice."""

    def __init__(self, accounts: Sequence[str], rhythm: Rhythm, run: str, now_s: float, *, repeats: bool) -> None:
        self._rhythm = rhythm
        self._repeats = repeats
        self._prefix = f"{CANARY_PREFIX}{run}-"
        self._strangers_until_s = now_s + rhythm.timeout_s
        self._number = 0
        self._crossing: Crossing | None = None
        self._accounts = {
            name: _Account(name, partition, now_s + rhythm.interval_s * partition / len(accounts))
            for partition, name in enumerate(accounts)
        }

    def adopt(self, crossing: Crossing | None) -> None:
        """From here on this is what is crossed; None: nothing can be. What is open ends without a verdict."""
        if crossing == self._crossing:
            return
        self._crossing = crossing
        for account in self._accounts.values():
            account.open, account.certain = None, False

    def due(self, now_s: float) -> Iterator[Errand]:
        """What is to be published now, in this order."""
        if self._crossing is None:
            return
        for account in self._accounts.values():
            if account.open is None and account.due_s <= now_s:
                if not account.certain:
                    yield self._errand(account, account.side.other)
                errand = self._errand(account, account.side)
                account.open = _Open(errand.message_id, errand.side, now_s)
                yield errand

    def expired(self, now_s: float) -> Iterator[Verdict]:
        """Crossings that nobody waits for any longer."""
        for account in self._accounts.values():
            if account.open is not None and now_s >= account.open.since_s + self._rhythm.timeout_s:
                yield self._ended(account, Reason.NOT_IN_TIME, now_s)

    def take(self, transition: WireTransition, now_s: float) -> Verdict | None:
        """A transition became visible; of other accounts there is nothing to say."""
        account = self._accounts.get(transition.account_id)
        if account is None:
            return None
        known = account.sequence
        if known is not None and transition.sequence <= known:
            return None if self._repeats else self._ended(account, Reason.WRITTEN_TWICE, now_s)
        account.sequence = transition.sequence
        if known is not None and transition.sequence > known + 1:
            return self._ended(account, Reason.NUMBER_LEFT_OUT, now_s)
        return self._judged(account, transition, now_s)

    def _judged(self, account: _Account, transition: WireTransition, now_s: float) -> Verdict | None:
        trigger = transition.trigger
        if isinstance(trigger, str) or self._crossing is None:
            return None
        if not trigger.message_id.startswith(self._prefix):
            early = now_s < self._strangers_until_s  # what an earlier run left behind may still come
            return None if early else self._ended(account, Reason.RIVAL, now_s)
        if account.open is None or trigger.message_id != account.open.message_id:
            return None
        if transition.catalog_version != self._crossing.catalog_version:
            self._close(account, now_s, certain=False)  # another catalog has come, of which we shall hear in a moment
            return None
        side = crosses(transition.segment, transition.direction, transition.from_segment, self._crossing.segment)
        if side is None:
            return None
        wanted = side is account.open.side
        return self._ended(account, Reason.AS_EXPECTED if wanted else Reason.OTHER_DIRECTION, now_s)

    def _ended(self, account: _Account, reason: Reason, now_s: float) -> Verdict:
        seconds = None if account.open is None else now_s - account.open.since_s
        self._close(account, now_s, certain=reason is Reason.AS_EXPECTED)
        return Verdict(account.partition, account.name, reason, seconds)

    def _close(self, account: _Account, now_s: float, *, certain: bool) -> None:
        account.open, account.certain = None, certain
        if certain:
            account.side = account.side.other
        interval_s = self._rhythm.interval_s
        if account.due_s <= now_s:  # the next place in the rhythm: what was due meanwhile is not made up for
            account.due_s += interval_s * ((now_s - account.due_s) // interval_s + 1)

    def _errand(self, account: _Account, side: Side) -> Errand:
        self._number += 1
        return Errand(account.partition, account.name, side, f"{self._prefix}{self._number}")
