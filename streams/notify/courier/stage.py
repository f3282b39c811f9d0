"""The courier's stage: inbox records of one partition in; actions, dead letters and rows out.

Theory of operation. A partition holds whole destinations: all that one must hear of, and what operators say of it.
`apply` gives news to the destination's planner, whose decisions are deliveries to open or actions that say why not;
`on_tick` asks planners for what is due by the clock. Open deliveries are offered to the desk, whose couriers carry them
out in tasks of their own and report every verdict here. A flush takes, together with the offset, the actions and dead
letters since the last one and the rows that have changed (`rows`). So the offset follows the plan, not the deliveries,
and a restart goes on from the rows.

    reported by the desk    what becomes of it
    RETRYING                stays open, its row is rewritten; an action unless it was merely throttled
    DELIVERED               closed; action
    DEAD_LETTERED           closed; action, and each transition's original bytes in the dead-letter topic

`settle` is for an orderly end: nothing new is started, and what is under way has some seconds to end, so that the last
flush knows of it. Should the partition stay after all, the next tick offers everything again.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from schemas.action import ActionOutcome, Reason
from schemas.dead_letter import PLAY_HEADER, RETRY_DELIVERY_HEADER, Rejected, RejectReason
from schemas.inbox import Command, CommandKind, SilenceOrder, command_of, original_of
from schemas.transition import ANNOUNCE_HEADER, facts_of
from streams import log_events
from streams.notify.courier.background import Background
from streams.notify.courier.levels import levels
from streams.notify.courier.outbox import Outbox, window_max
from streams.notify.courier.post import Post, Rows
from streams.notify.courier.reading import Readings
from streams.notify.courier.rows import Kind, OperatorRow, UnreadableRowError, key_of, parts_of
from streams.notify.courier.telling import Told, action_of, dead_letters_of, refused, refused_here
from streams.notify.courier.threads import Threads
from streams.notify.courier.tracing import attempt_span, decision_span
from streams.notify.deliver.breaker import Breaker, BreakerState
from streams.notify.deliver.desk import Desk
from streams.notify.deliver.dispatch import Settled
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery, Source
from streams.notify.plan.memory import UnreadablePlanError
from streams.notify.plan.news import read
from streams.notify.plan.planner import Planner
from streams.notify.plan.retry import Verdict
from streams.notify.plan.silence import TEXT_CHARS_MAX, Silence
from streams.notify.playbooks import Playbooks
from streams.runtime.headers import require_readable
from streams.runtime.stage import Drained, InputRecord, Output, StageFailure, StateUnreadable
from streams.topics import Topics
from streams.tracing.spans import Span

WAITING_MAX: Final = 20_000
"""Outputs and rows not yet flushed; with more the stage takes no more input."""
DUE_ROUNDS_MAX: Final = 4
"""How often one tick asks one planner for a further share of what is due."""
UNSURE_MS: Final = 5_000
"""How far clocks may be apart: what arrived before this worker began may have been attempted by another."""

NO_CONNECTOR: Final = "none"


@dataclass(frozen=True, slots=True)
class CourierConfig:
    """What the shell tells a stage."""

    desk: Desk
    playbooks: Playbooks
    topics: Topics
    max_age_h: float | None
    clock: Callable[[], int]
    readings: Callable[[int], Readings]
    homes: Callable[[int], Iterable[str]]
    """The destinations whose records are in a partition of the inbox."""


class CourierStage:
    def __init__(self, partition: int, config: CourierConfig) -> None:
        self._partition = partition
        self._config = config
        self._desk = config.desk
        self._topics = config.topics
        self._clock = config.clock
        self._began_ms = config.clock()
        self._posts = {name: self._new_post(name) for name in config.homes(partition)}
        self._restoring: dict[str, Rows] = {}
        self._orphans: list[bytes] = []
        """Rows of destinations that are gone."""
        self._outputs: list[Output] = []
        self._spans: list[Span] = []
        """Of what was decided and attempted since the last flush. Each comes with an output or a row, as do bounds."""
        self._counts: Counter[str] = Counter()
        self._background = Background(config.readings(partition), self._decide)
        self._held = False
        self._left_alone: dict[str, int] = {}
        """Destinations whose breaker is known to be open, and until when."""
        self._editing = frozenset(play.id for play in config.playbooks.plays if play.edits)
        """Plays whose messages take the place of earlier ones."""
        self._throttled_before_ms = {name: config.desk.dispatch(name).throttled_ms for name in self._posts}

    # -- the runtime's side --------------------------------------------------------------------------------------

    @property
    def counts(self) -> Mapping[str, int]:
        throttled = {
            f"throttled_seconds:{name}": (self._desk.dispatch(name).throttled_ms - before_ms) // 1_000
            for name, before_ms in self._throttled_before_ms.items()
        }
        return {**self._counts, **throttled}

    @property
    def gauges(self) -> Mapping[str, int]:
        now_ms = self._clock()
        posts = self._posts.values()
        return {key: level for post in posts for key, level in levels(post, self._desk.dispatch(post.name), now_ms)}

    @property
    def posts(self) -> Mapping[str, Post]:
        return self._posts

    def restore(self, key: bytes, value: bytes | None) -> None:
        try:
            kind, destination, rest = parts_of(key)
            rows = self._restoring.get(destination)
            if rows is None:
                rows = self._restoring[destination] = Rows(self._window)
            rows.take(kind, rest, value)
        except UnreadableRowError as error:
            raise StateUnreadable(f"the courier's changelog cannot be read: {error}") from None

    def restored(self) -> None:
        try:
            for name, rows in self._restoring.items():
                if name in self._posts:
                    rows.into(self._posts[name])
                elif name in self._config.playbooks.destinations:
                    raise StageFailure(
                        f"the state of destination {name} lies in partition {self._partition}, where it belongs no "
                        "more: the inbox has other partitions now; see docs/operations.md, Change the partitions"
                    )
                else:
                    self._bury(name, rows)
        except (UnreadableRowError, UnreadablePlanError, Rejected) as error:
            raise StateUnreadable(f"the courier's changelog cannot be read: {error}") from None
        self._restoring.clear()
        for post in self._posts.values():
            self._desk.claim(post.name, self)
            self._desk.hold_after(post.name, post.held_after)
            self._offer_again(post, list(post.outbox))

    def apply(self, records: Sequence[InputRecord]) -> None:
        self._go_on()
        for record in records:
            try:
                require_readable(record.headers)
                command = command_of(record.headers, record.value)
                if command is not None:
                    self._obey(record.key, *command)
                    continue
                destination, original = original_of(record.headers)
            except Rejected as rejected:
                self._counts[f"rejected:{rejected.reason}"] += 1
                self._outputs.append(refused_here(record, self._partition, rejected, self._topics))
                continue
            source = Source(
                original.partition, original.offset, original.timestamp_ms, original.key, record.value,
                tuple(original.headers),
            )  # fmt: skip
            try:
                post, made = self._planned(destination, source)
            except Rejected as rejected:
                self._counts[f"rejected:{rejected.reason}"] += 1
                self._outputs.append(refused(source, rejected, self._topics, destination))
                continue
            self._decide(post, made, record.timestamp)

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:  # noqa: ARG002 - deliveries have their own clock
        self._go_on()
        failure = self._desk.failure()
        if failure is not None:
            raise StageFailure("a courier failed") from failure
        for post in self._posts.values():
            self._look_at(post)
            self._notice(post.name, self._desk.dispatch(post.name).breaker)
        found = self._background.turn(list(self._posts.values()), self._clock())
        if found is not None:
            self._offer_again(*found)

    def position(self, next_offset: int) -> int:
        return next_offset

    def drain(self) -> Drained:
        drained = Drained(self._outputs, [(key, None) for key in self._orphans], spans=self._spans)
        for post in self._posts.values():
            drained.changes.extend(post.changes())
        self._outputs, self._orphans, self._spans = [], [], []
        return drained

    def dirty(self) -> bool:
        return bool(self._outputs or self._orphans) or any(post.dirty() for post in self._posts.values())

    def saturated(self) -> bool:
        return len(self._outputs) + sum(post.outbox.unwritten for post in self._posts.values()) >= WAITING_MAX

    async def settle(self) -> None:
        """Start nothing more, and give what is under way some time to end."""
        self._held = True
        for name in self._posts:
            self._desk.suspend(name)
        await self._desk.finish(self._posts)

    def close(self) -> None:
        self._background.stop()
        for name in self._posts:
            self._desk.leave(name, self)

    # -- what is decided -----------------------------------------------------------------------------------------

    def _planned(self, destination: str, source: Source) -> tuple[Post, list[Decision]]:
        """What becomes of a transition; raises `Rejected`."""
        named = dict(source.headers)
        news = read(source.value, announced=ANNOUNCE_HEADER in named)
        post = self._posts.get(destination)
        if post is None:
            raise Rejected(RejectReason.PLAY_REMOVED, "its destination is gone, or in another partition")
        facts, now_ms = facts_of(source.headers), self._clock()
        if RETRY_DELIVERY_HEADER not in named:
            made = post.planner.take(news, source, facts, now_ms)
        else:
            again, play = (_text(named.get(name)) for name in (RETRY_DELIVERY_HEADER, PLAY_HEADER))
            made = post.planner.again(again, play or None, news, source, facts, now_ms)
            if not made:
                raise Rejected(RejectReason.PLAY_REMOVED, "no play asks for the delivery that was to be tried again")
        return post, made

    def _notice(self, destination: str, breaker: Breaker) -> None:
        """What the log says of a breaker."""
        known_ms, now_ms = self._left_alone.get(destination), self._clock()
        if breaker.state is BreakerState.CLOSED:
            if known_ms is not None:
                del self._left_alone[destination]
                log_events.BREAKER_CLOSED.tell(destination=destination)
        elif breaker.until_ms > max(known_ms or 0, now_ms):
            self._left_alone[destination] = breaker.until_ms
            log_events.BREAKER_OPENED.tell(
                destination=destination, seconds=math.ceil((breaker.until_ms - now_ms) / 1_000)
            )

    def _look_at(self, post: Post) -> None:
        """What the clock leads to."""
        for _ in range(DUE_ROUNDS_MAX):
            now_ms = self._clock()
            if post.planner.next_ms() > now_ms or self.saturated():
                return
            self._decide(post, post.planner.due(now_ms), now_ms)

    def _decide(self, post: Post, made: Iterable[Decision], arrived_ms: int) -> None:
        """Carry out what a planner says about what arrived, or became due, at a time."""
        post.planned = True
        unsure = arrived_ms < self._began_ms + UNSURE_MS
        for decision in made:
            self._trace(decision_span(decision, self._clock()))
            delivery, outcome = decision.delivery, decision.outcome
            if outcome is not None:
                self._count(post.name, decision.reason)
                told = Told(outcome, decision.reason, arm=decision.arm, until_ms=decision.until_ms)
                self._act(post.connector, delivery, told)
            elif delivery.delivery_id in post.outbox:
                self._suppress(post, delivery, Reason.ALREADY_OPEN)
            else:
                self._open(post, replace(delivery, unsure=unsure))

    def _open(self, post: Post, delivery: Delivery) -> None:
        self._count(post.name, Reason.PLANNED)
        if post.outbox.full:
            self._bury_one(post.connector, delivery, Verdict(ActionOutcome.DEAD_LETTERED, Reason.BACKLOG_FULL, 0), "")
            return
        placed = post.outbox.add(delivery)
        if placed is not None:
            self._offer(post, placed)

    def _offer(self, post: Post, delivery: Delivery) -> None:
        outdated = self._desk.offer(delivery)
        if outdated is not None:
            post.outbox.close(outdated.delivery_id)
            self._suppress(post, outdated, Reason.SUPERSEDED)

    def _offer_again(self, post: Post, deliveries: Iterable[Delivery]) -> None:
        """What was open before; some of it may not be wanted any more."""
        for delivery in deliveries:
            if self._config.playbooks.knows(delivery):
                self._offer(post, delivery)
            else:
                verdict = Verdict(ActionOutcome.DEAD_LETTERED, Reason.PLAY_REMOVED, delivery.attempts)
                self.settled(Settled(delivery, verdict), "", None)

    # -- what the desk reports ---------------------------------------------------------------------------------------

    def settled(self, settled: Settled, detail: str, ref: str | None) -> None:
        """Take a verdict."""
        delivery, verdict = settled.delivery, settled.verdict
        name, post = delivery.delivery_id, self._posts[delivery.destination]
        if name not in post.outbox:
            return  # it was of an earlier stage of this partition, and is settled
        self._trace(attempt_span(settled, post.connector, self._clock()))
        if verdict.outcome is ActionOutcome.RETRYING:
            self._count(post.name, verdict.reason)
            if name in post.dropping:
                self._drop(post, delivery)
                return
            post.outbox.update(delivery)
            if verdict.reason is not Reason.THROTTLED:
                log_events.NOT_DELIVERED.tell(
                    delivery_id=name,
                    transition_id=delivery.news.transition_id,
                    destination=delivery.destination,
                    play=delivery.play,
                    attempt=verdict.attempts,
                    reason=verdict.reason.value,
                )
                told = Told(verdict.outcome, verdict.reason, verdict.attempts, detail, ref)
                self._act(post.connector, delivery, told)
            return
        post.outbox.close(name)
        post.dropping.discard(name)
        if verdict.outcome is ActionOutcome.DEAD_LETTERED:
            self._count(post.name, verdict.reason)
            self._bury_one(post.connector, delivery, verdict, detail)
            return
        self._count(post.name, verdict.reason)
        log_events.DELIVERED.tell(
            delivery_id=name,
            transition_id=delivery.news.transition_id,
            destination=delivery.destination,
            play=delivery.play,
            attempt=verdict.attempts,
        )
        if ref is not None:
            post.threads.note(delivery, ref, edits=delivery.play in self._editing)
        self._act(post.connector, delivery, Told(verdict.outcome, verdict.reason, verdict.attempts, detail, ref))

    def thread_ref(self, delivery: Delivery) -> str | None:
        return self._posts[delivery.destination].threads.parent(delivery)

    def edit_ref(self, delivery: Delivery) -> str | None:
        return self._posts[delivery.destination].threads.last(delivery) if delivery.play in self._editing else None

    # -- what operators say ------------------------------------------------------------------------------------------

    def _obey(self, key: bytes | None, kind: CommandKind, command: Command) -> None:
        """Commands about what is not here are somebody else's, or too late."""
        name = None if key is None else key.decode("utf-8", "replace")
        self._counts[f"commands:{kind}"] += 1
        for post in self._posts.values():
            if name in (None, post.name):
                log_events.OBEYED.tell(destination=post.name, command=kind.value)
                self._obey_at(post, kind, command)

    def _obey_at(self, post: Post, kind: CommandKind, command: Command) -> None:
        match kind:
            case CommandKind.PAUSE | CommandKind.DRAIN | CommandKind.RESUME:
                held = {CommandKind.PAUSE: -1, CommandKind.DRAIN: post.outbox.next_order - 1}.get(kind)
                by, note = command.by[:TEXT_CHARS_MAX], command.note[:TEXT_CHARS_MAX]
                post.command(OperatorRow(kind.value, held, command.at_ms, by, note))
                self._desk.hold_after(post.name, held)
            case CommandKind.SILENCE | CommandKind.UNSILENCE if command.silence is not None:
                self._silence(post, kind, command, command.silence)
            case CommandKind.FORGET if command.account is not None:
                self._forget(post, command.account)
            case CommandKind.RETRY | CommandKind.DROP if command.delivery_id is not None:
                delivery = post.outbox.get(command.delivery_id)
                if kind is CommandKind.RETRY and delivery is not None:
                    hurried = replace(delivery, strikes=0, not_before_ms=0)
                    post.outbox.update(hurried)
                    self._desk.hurry(hurried)
                elif kind is CommandKind.DROP and delivery is not None:
                    self._drop(post, delivery)
                elif kind is CommandKind.DROP:
                    post.outbox.drop_spilled(command.delivery_id)
            case _:
                self._counts[f"rejected:{RejectReason.BAD_CONTROL}"] += 1

    def _silence(self, post: Post, kind: CommandKind, command: Command, order: SilenceOrder) -> None:
        post.planned = True
        if kind is CommandKind.UNSILENCE:
            post.planner.unsilence(order.id)
            return
        silence = Silence(
            id=order.id, until_ms=order.until_ms, account=order.account, segment=order.segment, play=order.play,
            comment=command.note[:TEXT_CHARS_MAX], by=command.by[:TEXT_CHARS_MAX],
        )  # fmt: skip
        if not post.planner.silence(silence, self._clock()):
            self._counts[f"rejected:{RejectReason.BAD_CONTROL}"] += 1

    def _forget(self, post: Post, account: str) -> None:
        post.planner.forget(account)
        post.planned = True
        post.threads.forget(account)
        post.outbox.forget_spilled(account)
        for delivery in [one for one in post.outbox if one.news.account_id == account]:
            self._drop(post, delivery)

    def _drop(self, post: Post, delivery: Delivery) -> None:
        if not self._desk.withdraw(delivery):
            post.dropping.add(delivery.delivery_id)
            return
        post.dropping.discard(delivery.delivery_id)
        post.outbox.close(delivery.delivery_id)
        self._suppress(post, delivery, Reason.DROPPED)

    # -- how it goes on and ends -------------------------------------------------------------------------------------

    @property
    def _window(self) -> int:
        return window_max(len(self._config.playbooks.destinations))

    def _new_post(self, name: str) -> Post:
        kind = self._config.playbooks.type_of(name)
        return Post(
            name,
            kind.name,
            Planner(self._config.playbooks.plan(name, self._config.max_age_h)),
            Outbox(name, keeps_words=kind.deduplicates, window=self._window),
            Threads(name),
        )

    def _go_on(self) -> None:
        """After `settle`, if the partition stayed."""
        if self._held:
            self._held = False
            for post in self._posts.values():
                for delivery in list(post.outbox):
                    self._offer(post, delivery)

    def _bury(self, name: str, rows: Rows) -> None:
        """A destination that is gone: what was open there is a dead letter, for it may come back."""
        self._orphans += rows.orphans(name)
        for delivery in rows.deliveries(name).deliveries:
            self._orphans.append(key_of(Kind.DELIVERY, name, delivery.delivery_id))
            verdict = Verdict(ActionOutcome.DEAD_LETTERED, Reason.PLAY_REMOVED, delivery.attempts)
            self._bury_one(NO_CONNECTOR, delivery, verdict, "")

    def _bury_one(self, connector: str, delivery: Delivery, verdict: Verdict, detail: str) -> None:
        rejected = Rejected(RejectReason(verdict.reason.value), detail)
        self._outputs += dead_letters_of(delivery, rejected, self._topics)
        self._act(connector, delivery, Told(verdict.outcome, verdict.reason, verdict.attempts, detail))

    def _suppress(self, post: Post, delivery: Delivery, reason: Reason) -> None:
        self._count(post.name, reason)
        self._act(post.connector, delivery, Told(ActionOutcome.SUPPRESSED, reason, delivery.attempts))

    def _trace(self, span: Span | None) -> None:
        if span is not None:
            self._spans.append(span)

    def _act(self, connector: str, delivery: Delivery, told: Told) -> None:
        self._outputs.append(action_of(delivery, connector, told, self._clock(), self._topics))

    def _count(self, destination: str, reason: Reason) -> None:
        self._counts[f"deliveries:{destination}:{reason}"] += 1


def _text(header: bytes | None) -> str:
    return (header or b"").decode("utf-8", "replace")
