"""The notifier's stage: transitions of one partition in, actions, dead letters and open deliveries out.

Theory of operation. `apply` plans: each transition becomes decisions, each of them a delivery that is opened or an
action that says why it is not. Open deliveries are offered to the desk, whose couriers carry them out in tasks of
their own and report every verdict here. A flush takes, together with the offset, the actions and dead letters since
the last one, a row for each delivery that is open and changed, and a tombstone for each that was settled and had a
row (`streams.notify.outbox`). So the offset follows the plan, not the deliveries, and a restart goes on from the
rows.

    reported by the desk    what becomes of it
    RETRYING                stays open, its row is rewritten; an action unless it was merely throttled
    DELIVERED               closed; action
    DEAD_LETTERED           closed; action, and the transition's original bytes in the dead-letter topic

`settle` is for an orderly end: nothing new is started, and what is under way has some seconds to end, so that the last
flush knows of it. Should the partition stay after all, the next tick offers everything again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from schemas.action import DETAIL_CHARS_MAX, Action, ActionOutcome, Reason
from schemas.dead_letter import (
    DELIVERY_HEADER,
    DESTINATION_HEADER,
    PLAY_HEADER,
    RETRY_DELIVERY_HEADER,
    Rejected,
    RejectReason,
)
from schemas.timestamps import format_ms
from schemas.transition import ANNOUNCE_HEADER
from streams.notify.deliver.desk import Desk
from streams.notify.deliver.dispatch import Settled
from streams.notify.outbox import UnreadableRowError, decode, encode
from streams.notify.plan.delivery import Delivery, Source
from streams.notify.plan.news import read
from streams.notify.plan.planning import Decision, decisions, retry_of
from streams.notify.plan.retry import Verdict
from streams.notify.playbooks import Playbooks
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.runtime.headers import require_readable
from streams.runtime.stage import Drained, InputRecord, Output, StageFailure
from streams.topics import Topics

WAITING_OUTPUTS_MAX: Final = 20_000
"""Outputs not yet flushed; with more the stage takes no more input."""

NO_CONNECTOR: Final = "none"


class NotifierStage:
    def __init__(
        self,
        partition: int,
        desk: Desk,
        playbooks: Playbooks,
        topics: Topics,
        max_age_h: float | None,
        clock: Callable[[], int],
    ) -> None:
        self._partition = partition
        self._desk = desk
        self._playbooks = playbooks
        self._topics = topics
        own = frozenset({ANNOUNCE_HEADER, RETRY_DELIVERY_HEADER})
        self._refused_at = RefusedAt("notifier", topics.transitions, partition, topics.transitions_dlq, own)
        self._max_age_h = max_age_h
        self._clock = clock
        self._open: dict[str, Delivery] = {}
        self._rows: set[str] = set()
        """Deliveries that have a row in the changelog."""
        self._changed: dict[str, None] = {}
        """Deliveries whose row no longer says how they stand."""
        self._restoring: dict[str, bytes] = {}
        self._outputs: list[Output] = []
        self._counts: Counter[str] = Counter()
        self._held = False
        desk.attach(partition, self._report)

    # -- the runtime's side --------------------------------------------------------------------------------------

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    @property
    def gauges(self) -> Mapping[str, int]:
        return {"open_deliveries": len(self._open), "state_rows": len(self._rows)}

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._restoring.pop(key.decode(), None)
        else:
            self._restoring[key.decode()] = value

    def restored(self) -> None:
        try:
            found = [decode(name, row, self._partition) for name, row in self._restoring.items()]
        except (UnreadableRowError, Rejected) as error:
            raise StageFailure(f"the notifier's changelog cannot be read: {error}") from None
        self._restoring.clear()
        for delivery in sorted(found, key=lambda delivery: delivery.place):
            self._rows.add(delivery.delivery_id)
            self._open[delivery.delivery_id] = delivery
            if self._playbooks.knows(delivery):
                self._desk.offer(delivery)
            else:
                verdict = Verdict(ActionOutcome.DEAD_LETTERED, Reason.PLAY_REMOVED, delivery.attempts)
                self._report(Settled(delivery, verdict), "", None)

    def apply(self, records: Sequence[InputRecord]) -> None:
        self._go_on()
        now_ms = self._clock()
        for record in records:
            source = Source(
                self._partition, record.offset, record.timestamp, record.key, record.value, tuple(record.headers)
            )
            try:
                made = self._decide(source, now_ms)
            except Rejected as rejected:
                self._counts[f"rejected:{rejected.reason}"] += 1
                self._dead_letter(source, rejected)
                continue
            if not made:
                self._counts[f"deliveries:{NO_CONNECTOR}:{Reason.NO_PLAY}"] += 1
            for decision in made:
                self._take(decision)

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:  # noqa: ARG002 - couriers have their own clock
        self._go_on()
        failure = self._desk.failure()
        if failure is not None:
            raise StageFailure("a courier failed") from failure

    def position(self, next_offset: int) -> int:
        return next_offset

    def drain(self) -> Drained:
        drained = Drained(self._outputs, [])
        for name in self._changed:
            delivery = self._open.get(name)
            if delivery is not None:
                drained.changes.append((name.encode(), encode(delivery)))
                self._rows.add(name)
            elif name in self._rows:
                drained.changes.append((name.encode(), None))
                self._rows.remove(name)
        self._outputs = []
        self._changed = {}
        return drained

    def dirty(self) -> bool:
        return bool(self._outputs or self._changed)

    def saturated(self) -> bool:
        return len(self._outputs) >= WAITING_OUTPUTS_MAX or self._desk.saturated()

    async def settle(self) -> None:
        """Start nothing more, and give what is under way some time to end."""
        self._held = True
        self._desk.withdraw(self._partition)
        await self._desk.finish(self._partition)

    def close(self) -> None:
        self._desk.detach(self._partition, self._report)

    # -- deliveries --------------------------------------------------------------------------------------------------

    def _decide(self, source: Source, now_ms: int) -> list[Decision]:
        """What becomes of a transition; raises `Rejected`."""
        require_readable(source.headers)
        named = dict(source.headers)
        news = read(source.value, announced=ANNOUNCE_HEADER in named)
        wanted = named.get(RETRY_DELIVERY_HEADER)
        if wanted is None:
            return decisions(news, source, self._playbooks.plays, now_ms, self._max_age_h)
        retried = retry_of(wanted.decode("utf-8", "replace"), news, source, self._playbooks.plays, now_ms)
        if retried is None:
            raise Rejected(RejectReason.PLAY_REMOVED, "no play asks for the delivery that was to be tried again")
        return [retried]

    def _take(self, decision: Decision) -> None:
        """Open a delivery, or say why not."""
        delivery, reason = decision.delivery, decision.reason
        if delivery.delivery_id in self._open:
            reason = Reason.ALREADY_OPEN
        if reason is not Reason.PLANNED:
            self._count(delivery, reason)
            self._act(delivery, ActionOutcome.SUPPRESSED, reason, 0)
            return
        self._count(delivery, Reason.PLANNED)
        self._open[delivery.delivery_id] = delivery
        self._changed[delivery.delivery_id] = None
        if self._desk.overflows(delivery.destination):
            self._report(Settled(delivery, Verdict(ActionOutcome.DEAD_LETTERED, Reason.BACKLOG_FULL, 0)), "", None)
        else:
            self._desk.offer(delivery)

    def _report(self, settled: Settled, detail: str, ref: str | None) -> None:
        """Take a verdict."""
        delivery, verdict = settled.delivery, settled.verdict
        name = delivery.delivery_id
        if name not in self._open:
            return  # it was of an earlier stage of this partition, and is settled
        self._count(delivery, verdict.reason)
        self._changed[name] = None
        if verdict.outcome is ActionOutcome.RETRYING:
            self._open[name] = delivery
            if verdict.reason is Reason.THROTTLED:
                return
        else:
            del self._open[name]
        if verdict.outcome is ActionOutcome.DEAD_LETTERED:
            self._dead_letter(delivery.source, Rejected(RejectReason(verdict.reason.value), detail), delivery)
        self._act(delivery, verdict.outcome, verdict.reason, verdict.attempts, detail, ref)

    def _go_on(self) -> None:
        """After `settle`, if the partition stayed."""
        if self._held:
            self._held = False
            for delivery in sorted(self._open.values(), key=lambda delivery: delivery.place):
                self._desk.offer(delivery)

    # -- what goes out -----------------------------------------------------------------------------------------------

    def _count(self, delivery: Delivery, reason: Reason) -> None:
        self._counts[f"deliveries:{self._connector(delivery)}:{reason}"] += 1

    def _connector(self, delivery: Delivery) -> str:
        known = delivery.destination in self._playbooks.destinations
        return self._playbooks.type_of(delivery.destination).name if known else NO_CONNECTOR

    def _act(
        self,
        delivery: Delivery,
        outcome: ActionOutcome,
        reason: Reason,
        attempt: int,
        detail: str = "",
        ref: str | None = None,
    ) -> None:
        news = delivery.news
        action = Action(
            delivery_id=delivery.delivery_id,
            transition_id=news.transition_id,
            account_id=news.account_id,
            segment=news.segment,
            direction=news.direction,
            playbook=delivery.play,
            destination=delivery.destination,
            connector=self._connector(delivery),
            outcome=outcome,
            reason=reason,
            attempt=attempt,
            at=format_ms(self._clock()),
            detail=detail[:DETAIL_CHARS_MAX],
            ref=ref,
        )
        self._outputs.append(
            Output(
                self._topics.actions,
                news.account_id.encode(),
                msgspec.json.encode(action.model_dump(mode="json")),
                [("content-type", b"application/json")],
            )
        )

    def _dead_letter(self, source: Source, rejected: Rejected, delivery: Delivery | None = None) -> None:
        more: list[tuple[str, bytes]] = []
        if delivery is not None:
            more = [
                (DELIVERY_HEADER, delivery.delivery_id.encode()),
                (DESTINATION_HEADER, delivery.destination.encode()),
                (PLAY_HEADER, delivery.play.encode()),
            ]
        self._outputs.append(dead_letter(source, rejected, self._refused_at, more))
