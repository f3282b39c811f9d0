"""What may start at one destination, and what follows when it has ended. No clock, no task: `now_ms` drives it.

Theory of operation. `next` starts the head of the lane whose turn it is, if four say yes: the breaker (is it well?),
the pace (is it time?), the bound on attempts under way, and the lanes (is there one?). `concluded` lets `plan.retry`
decide and applies the decision at the failure's scope:

* a failure of the record parks its lane; everybody else goes on;
* a failure of the destination parks the lane and counts towards the breaker. Once that is open it alone governs:
  parked lanes are ready again, probes take turns among them, and a failed probe does not lengthen its own lane's
  backoff - what is wrong is the destination, and when it is back, all that waited goes at once, at the destination's
  pace;
* a throttle pauses the destination as a whole, for as long as it says;
* a destination that is gone is not asked again for five minutes; what is due for it meanwhile is dead-lettered.

`overdue` takes out what has waited for longer than the destination's `give_up_h`. With `BACKLOG_MAX` open deliveries a
destination is `full`: the stage then holds back its input if the destination is merely slow, and dead-letters what is
more if it is down, for one dead destination must not stop the others.
"""

from dataclasses import dataclass, replace
from typing import Final

from schemas.action import ActionOutcome, Reason
from schemas.playbook import Destination
from streams.connectors.outcome import Outcome, OutcomeKind
from streams.notify.deliver.breaker import Breaker, BreakerState, Permit
from streams.notify.deliver.lanes import Lanes, Wait
from streams.notify.deliver.pace import Pace
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.retry import Circumstances, Holds, Verdict, deadline_ms, expired, verdict

BACKLOG_MAX: Final = 10_000
GONE_MS: Final = 300_000
OVERDUE_PER_CALL_MAX: Final = 1_000
SWEEP_PAUSE_MS: Final = 1_000
LAST_ATTEMPT_MS: Final = 1_000
NEVER_MS: Final = 1 << 62
ILL: Final = frozenset({OutcomeKind.RETRY_DESTINATION, OutcomeKind.AMBIGUOUS})


@dataclass(frozen=True, slots=True)
class Start:
    """An attempt to be made now."""

    delivery: Delivery
    probe: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """A delivery, and what was decided about it."""

    delivery: Delivery
    verdict: Verdict


class Dispatch:
    """One destination's state. Lives in the worker, not in a partition: health and pace are the destination's."""

    def __init__(self, destination: Destination, backlog_max: int = BACKLOG_MAX) -> None:
        self.destination = destination
        self.breaker = Breaker()
        self.pace = Pace(destination.rate_per_s)
        self.lanes = Lanes()
        self.in_flight = 0
        self._backlog_max = backlog_max
        self._throttles = 0
        self._gone_until_ms = 0
        self._sweep_ms = NEVER_MS
        """When there may be something overdue."""

    @property
    def full(self) -> bool:
        return len(self.lanes) >= self._backlog_max

    def down(self, now_ms: int) -> bool:
        return self.breaker.state is not BreakerState.CLOSED or now_ms < self._gone_until_ms

    def offer(self, delivery: Delivery, now_ms: int) -> None:
        self.lanes.add(delivery, now_ms)
        self._sweep_by(now_ms if now_ms < self._gone_until_ms else self._end_ms(delivery))

    def drop(self, partition: int) -> None:
        self.lanes.drop(partition)

    def next(self, now_ms: int) -> Start | None:
        """The attempt to start now, if there is one. Every Start is answered by one `concluded`."""
        if self.in_flight >= self.destination.in_flight_max or now_ms < self.pace.next_ms():
            return None
        permit = self.breaker.permit(now_ms)
        if permit is Permit.NONE or now_ms < self._gone_until_ms:
            return None
        delivery = self.lanes.take(now_ms)
        if delivery is None:
            return None
        probe = permit is Permit.PROBE
        if probe:
            self.breaker = self.breaker.probing()
        self.pace = self.pace.sent(now_ms)
        self.in_flight += 1
        return Start(delivery, probe)

    def wake_ms(self, now_ms: int) -> float | None:
        """When to call `next` or `overdue` again if nothing else happens before; None: only then."""
        if not len(self.lanes):
            return None
        if self.in_flight >= self.destination.in_flight_max or self.breaker.state is BreakerState.PROBING:
            return self._sweep_ms
        lane_ms = self.lanes.next_ms()
        if lane_ms is None:
            return self._sweep_ms
        opens_ms = self.breaker.until_ms if self.breaker.state is BreakerState.OPEN else 0
        return min(self._sweep_ms, max(now_ms, lane_ms, self.pace.next_ms(), opens_ms, self._gone_until_ms))

    def concluded(self, start: Start, outcome: Outcome, now_ms: int) -> Settled:
        """Apply an attempt's outcome. Returns the delivery as it is now, and the verdict on it."""
        self.in_flight -= 1
        self._note_health(outcome.kind, now_ms, probe=start.probe)
        delivery = self.lanes.head(start.delivery)
        given = Circumstances(
            self.destination.give_up_h, self._throttles, self.breaker.state is not BreakerState.CLOSED
        )
        decided = verdict(delivery, outcome, now_ms, given)
        self._throttles = self._throttles + 1 if outcome.kind is OutcomeKind.THROTTLED else 0
        delivery = replace(
            delivery, attempts=decided.attempts, strikes=decided.strikes, not_before_ms=decided.not_before_ms
        )
        match decided.holds:
            case Holds.NOTHING:
                self.lanes.done(delivery, now_ms)
            case Holds.DESTINATION:
                self.pace = self.pace.paused(decided.not_before_ms)
                self.lanes.back(delivery, now_ms)
            case Holds.LANE:
                self.lanes.park(delivery, Wait.DESTINATION if outcome.kind in ILL else Wait.RECORD, now_ms)
        return Settled(delivery, decided)

    def abandoned(self, start: Start, reason: Reason, now_ms: int) -> Settled:
        """Settle a delivery whose attempt could not be made, through no fault of the destination."""
        self.in_flight -= 1
        if start.probe:
            self.breaker = self.breaker.withdrawn(now_ms)
        delivery = self.lanes.head(start.delivery)
        self.lanes.done(delivery, now_ms)
        return Settled(delivery, Verdict(ActionOutcome.DEAD_LETTERED, reason, delivery.attempts))

    def overdue(self, now_ms: int) -> list[Settled]:
        """Settle what has waited too long, or waits for a destination that is gone."""
        if now_ms < self._sweep_ms:
            return []
        gone = now_ms < self._gone_until_ms
        reason = Reason.DESTINATION_GONE if gone else Reason.EXPIRED
        # What became due just now is still given its last attempt.
        latest_ms = now_ms - LAST_ATTEMPT_MS
        found: list[Delivery] = []
        self._sweep_ms = NEVER_MS
        for delivery in self.lanes.resting():
            over = gone or expired(delivery, latest_ms, self.destination.give_up_h)
            if over and len(found) < OVERDUE_PER_CALL_MAX:
                found.append(delivery)
            else:
                self._sweep_by(now_ms + SWEEP_PAUSE_MS if over else self._end_ms(delivery))
        for delivery in self.lanes.under_way():
            self._sweep_by(max(self._end_ms(delivery), now_ms + SWEEP_PAUSE_MS))
        for delivery in found:
            self.lanes.withdraw(delivery, now_ms)
        return [Settled(d, Verdict(ActionOutcome.DEAD_LETTERED, reason, d.attempts)) for d in found]

    def _end_ms(self, delivery: Delivery) -> int:
        return deadline_ms(delivery, self.destination.give_up_h) + LAST_ATTEMPT_MS

    def _sweep_by(self, at_ms: int) -> None:
        self._sweep_ms = min(self._sweep_ms, at_ms)

    def _note_health(self, kind: OutcomeKind, now_ms: int, *, probe: bool) -> None:
        before = self.breaker.state
        if kind in ILL:
            self.breaker = self.breaker.failed(now_ms, probe=probe)
        elif kind is OutcomeKind.AUTH:
            self.breaker = self.breaker.refused(now_ms)
        else:
            self.breaker = self.breaker.succeeded(probe=probe)
        if kind is OutcomeKind.GONE:
            self._gone_until_ms = now_ms + GONE_MS
            self._sweep_by(now_ms)
        if self.breaker.state is not before:
            self.lanes.release(Wait.DESTINATION)
