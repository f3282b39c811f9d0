"""What may start at one destination, and what follows when it has ended. No clock, no task: `now_ms` drives it.

Theory of operation. `next` starts the heads of the lanes whose turn it is, as many as one request takes, if four say
yes: the breaker (is it well?), the pace (is it time?), the bound on requests under way, and the lanes (is there one?).
`concluded` lets `plan.retry` decide about each and applies the decision at the failure's scope:

* a failure of the record parks its lane; everybody else goes on;
* a failure of the destination parks the lane and counts towards the breaker. Once that is open it alone governs:
  parked lanes are ready again, probes take turns among them, and a failed probe does not lengthen its own lane's
  backoff - what is wrong is the destination, and when it is back, all that waited goes at once, at the destination's
  pace. A probe is one delivery, whatever a request takes;
* a throttle pauses the destination as a whole, for as long as it says;
* a destination that is gone is not asked again for five minutes; what is due for it meanwhile is dead-lettered.

`overdue` takes out what has waited for longer than the destination's `give_up_h`. `hold_after` is the operator's: what
comes later in the courier's order does not start. Whoever's turn comes in its readers' quiet hours - after a failure,
or because the destination was down for long - waits for their end: a provider that recovers at night wakes nobody. How
many deliveries wait here at most is the courier's to bound.
"""

from collections.abc import Callable, Iterable, Sequence
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

GONE_MS: Final = 300_000
OVERDUE_PER_CALL_MAX: Final = 1_000
SWEEP_PAUSE_MS: Final = 1_000
LAST_ATTEMPT_MS: Final = 1_000
NEVER_MS: Final = 1 << 62
Opens = Callable[[Delivery, int], int]
"""When a delivery may be sent, given the time in ms: that time itself, or a later one."""
ILL: Final = frozenset({OutcomeKind.RETRY_DESTINATION, OutcomeKind.AMBIGUOUS})


@dataclass(frozen=True, slots=True)
class Start:
    """A request to be made now, for one delivery or several, each of another lane."""

    deliveries: tuple[Delivery, ...]
    probe: bool


@dataclass(frozen=True, slots=True)
class Unsendable:
    """No request was made for it, through no fault of the destination."""

    reason: Reason
    detail: str = ""
    ref: None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A delivery, and what was decided about it."""

    delivery: Delivery
    verdict: Verdict
    began_ms: int | None = None
    """When the attempt began that it comes from, if it comes from one."""


class Dispatch:
    def __init__(
        self,
        destination: Destination,
        *,
        batch_max: int = 1,
        latest_wins: bool = False,
        opens: Opens = lambda _, now_ms: now_ms,
    ) -> None:
        self.destination = destination
        self.lanes = Lanes(latest_wins=latest_wins)
        self.breaker = Breaker()
        self.pace = Pace(destination.rate_per_s)
        self.in_flight = 0
        """Requests under way."""
        self.throttled_ms = 0
        """For how long the destination has asked us to wait, in all."""
        self._batch_max = batch_max
        self._opens = opens
        self._throttles = 0
        self._gone_until_ms = 0
        self._sweep_ms = NEVER_MS
        """When there may be something overdue."""

    def down(self, now_ms: int) -> bool:
        return self.breaker.state is not BreakerState.CLOSED or now_ms < self._gone_until_ms

    def offer(self, delivery: Delivery, now_ms: int) -> Delivery | None:
        """Take a delivery. Returns the one that it outdates, which is no longer here."""
        outdated = self.lanes.add(delivery, now_ms)
        self._sweep_by(now_ms if now_ms < self._gone_until_ms else self._end_ms(delivery))
        return outdated

    def hurry(self, delivery: Delivery, now_ms: int) -> None:
        """An operator wants it tried now: before all others, and as the probe where the breaker is open."""
        self.lanes.hurry(delivery)
        self.breaker = self.breaker.asked(now_ms)

    def drop(self) -> None:
        """Forget what is not under way."""
        self.lanes.drop()

    def next(self, now_ms: int) -> Start | None:
        """The request to make now, if there is one. Every Start is answered by one `concluded`."""
        if self.in_flight >= self.destination.in_flight_max or now_ms < self.pace.next_ms():
            return None
        permit = self.breaker.permit(now_ms)
        if permit is Permit.NONE or now_ms < self._gone_until_ms:
            return None
        probe = permit is Permit.PROBE
        taken = self._taken(1 if probe else self._batch_max, now_ms)
        if not taken:
            return None
        if probe:
            self.breaker = self.breaker.probing()
        self.pace = self.pace.sent(now_ms)
        self.in_flight += 1
        return Start(taken, probe)

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

    def concluded(self, start: Start, outcomes: Sequence[Outcome | Unsendable], now_ms: int) -> list[Settled]:
        """Apply what a request came to, for each of its deliveries. Returns them as they are now, with verdicts."""
        assert len(outcomes) == len(start.deliveries)
        self.in_flight -= 1
        answers = [one for one in outcomes if isinstance(one, Outcome)]
        if answers:
            self._note_health({one.kind for one in answers}, now_ms, probe=start.probe)
        elif start.probe:
            self.breaker = self.breaker.withdrawn(now_ms)
        settled = [
            self._applied(delivery, outcome, now_ms)
            for delivery, outcome in zip(start.deliveries, outcomes, strict=True)
        ]
        # Once for the request: a batch that is throttled is no row of throttles.
        throttled = any(one.kind is OutcomeKind.THROTTLED for one in answers)
        self._throttles = self._throttles + 1 if throttled else 0
        return settled

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

    def _taken(self, most: int, now_ms: int) -> tuple[Delivery, ...]:
        taken: list[Delivery] = []
        while len(taken) < most and (delivery := self.lanes.take(now_ms)) is not None:
            opens_ms = self._opens(delivery, now_ms)
            if opens_ms > now_ms:
                self.lanes.park(replace(delivery, not_before_ms=opens_ms), Wait.QUIET, now_ms)
            else:
                taken.append(delivery)
        return tuple(taken)

    def _applied(self, sent: Delivery, outcome: Outcome | Unsendable, now_ms: int) -> Settled:
        delivery = self.lanes.head(sent)
        if isinstance(outcome, Unsendable):
            self.lanes.done(delivery, now_ms)
            return Settled(delivery, Verdict(ActionOutcome.DEAD_LETTERED, outcome.reason, delivery.attempts))
        throttled = outcome.kind is OutcomeKind.THROTTLED
        given = Circumstances(
            self.destination.give_up_h, self._throttles, self.breaker.state is not BreakerState.CLOSED
        )
        decided = verdict(delivery, outcome, now_ms, given)
        delivery = replace(
            delivery,
            attempts=decided.attempts,
            strikes=decided.strikes,
            not_before_ms=decided.not_before_ms,
            rendered=sent.rendered,
            # What was not accepted for sure was not delivered by an earlier attempt either, if that was looked up;
            # but not every connector can look.
            unsure=delivery.unsure or outcome.kind is OutcomeKind.AMBIGUOUS,
        )
        match decided.holds:
            case Holds.NOTHING:
                self.lanes.done(delivery, now_ms)
            case Holds.DESTINATION:
                if throttled:
                    self.throttled_ms += max(0, decided.not_before_ms - max(now_ms, self.pace.paused_until_ms))
                self.pace = self.pace.paused(decided.not_before_ms)
                self.lanes.back(delivery, now_ms)
            case Holds.LANE:
                self.lanes.park(delivery, Wait.DESTINATION if outcome.kind in ILL else Wait.RECORD, now_ms)
        return Settled(delivery, decided)

    def _end_ms(self, delivery: Delivery) -> int:
        return deadline_ms(delivery, self.destination.give_up_h) + LAST_ATTEMPT_MS

    def _sweep_by(self, at_ms: int) -> None:
        self._sweep_ms = min(self._sweep_ms, at_ms)

    def _note_health(self, kinds: Iterable[OutcomeKind], now_ms: int, *, probe: bool) -> None:
        """Of a request's answers, one that was well says that the destination is."""
        before, found = self.breaker.state, set(kinds)
        if OutcomeKind.GONE in found:
            self._gone_until_ms = now_ms + GONE_MS
            self._sweep_by(now_ms)
        if found - ILL - {OutcomeKind.AUTH}:
            self.breaker = self.breaker.succeeded(probe=probe)
        elif OutcomeKind.AUTH in found:
            self.breaker = self.breaker.refused(now_ms)
        else:
            self.breaker = self.breaker.failed(now_ms, probe=probe)
        if self.breaker.state is not before:
            self.lanes.release(Wait.DESTINATION)
