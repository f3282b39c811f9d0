"""The plan of one destination: what happened and time passing in, decisions out.

Theory of operation. `take` is given every transition that the destination must hear of, in the order of the inbox. It
notes where the account is now, ends what this news makes pointless (an entry that was to last, a sequence with a
`stop_on`), and lets each play that waits for it ask for a message. `due` is called when `next_ms` has come, and goes
on with what waits. What becomes of a message is decided in `pipeline`, a stage a file; lists are in `lists`.

    route -> freshness -> silence -> inhibit -> throttle -> quiet -> holdout -> group -> budget

Nothing here reads a clock, and all state is rows (`memory`): the plan with a restart after every step is the plan
without. Every message ends as a delivery, alone or with others, or with a reason; those of one account are planned in
the order in which they were taken, but for what a play gathers for a certain time and for lists.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.action import Reason
from schemas.transition import Direction
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Facts, Source
from streams.notify.plan.destination import DestinationPlan, PlayPlan
from streams.notify.plan.drafts import Message, draft, name_of, orphan
from streams.notify.plan.freshness import freshness
from streams.notify.plan.lists import Lists
from streams.notify.plan.memory import NEVER_MS, Memory
from streams.notify.plan.news import News
from streams.notify.plan.pipeline import Pipeline
from streams.notify.plan.quiet import at
from streams.notify.plan.roster import RosterMember, RosterRequest
from streams.notify.plan.route import left, match
from streams.notify.plan.sequence import following, goes_on, steps, stopped
from streams.notify.plan.silence import Silence
from streams.notify.plan.throttle import DAY_MS
from streams.notify.plan.waiting import Phase, Waiting, first_message

__all__ = ["NEVER_MS", "Planner", "RosterMember", "RosterRequest"]

DUE_PER_CALL_MAX: Final = 200
SEGMENTS_MAX: Final = 500
"""Of one account; a catalog has no more."""


class Planner:
    """Takes what happened in the order of the inbox, and is asked again when `next_ms` has come."""

    def __init__(self, destination: DestinationPlan, memory: Memory | None = None) -> None:
        self._destination = destination
        self._memory = memory or Memory()
        self._pipeline = Pipeline(destination, self._memory)
        self._lists = Lists(destination, self._memory)

    # -- what happened ---------------------------------------------------------------------------------------------

    def take(self, news: News, source: Source, facts: Facts, now_ms: int) -> list[Decision]:
        """What a transition leads to at once."""
        self._note(news, facts)
        decisions = self._overtaken(news, now_ms)
        told: set[str] = set()
        refused: dict[str, Decision] = {}
        for plan in self._destination.plays:
            message = self._message(plan, news, source, facts)
            if message is None or (name := self._name_of(message.row)) in told:
                continue
            made = self._started(message, now_ms)
            if any(one.opens or one.until_ms is not None for one in made):
                told.add(name)
                decisions += made
            else:
                # Of two plays that ask for the same, the more generous one decides.
                decisions += [one for one in made if one.arm is not None]
                for one in made:
                    if one.arm is None:
                        refused.setdefault(name, one)
        return decisions + [one for name, one in refused.items() if name not in told]

    def again(
        self, wanted: str, play: str | None, news: News, source: Source, facts: Facts, now_ms: int
    ) -> list[Decision]:  # fmt: skip
        """The delivery that an operator wants tried again, whatever the plan would say now.

        What was one of several in a digest is told by itself, in the words of `play`. Empty: no play asks for it now.
        """
        first = [self._message(plan, news, source, facts) for plan in self._destination.plays]
        found = [
            Decision(draft(self._destination.id, Message(row, news, message.plan), now_ms), Reason.PLANNED)
            for message in first
            if message is not None
            for row in (message.row, *steps(message.row, message.plan))
        ]
        same = [one for one in found if one.delivery.delivery_id == wanted]
        return (same or [one for one in found if one.delivery.play == play])[:1]

    def forget(self, account: str) -> None:
        """The account was erased: nothing is known of it, and nothing about it waits."""
        for row in self._memory.of_account(account):
            self._memory.take_out(row.seq)
        self._memory.drop_account(account)

    # -- time --------------------------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> list[Decision]:
        """What time passing leads to; a bounded share of it, so ask `next_ms` again."""
        self._lists.due(now_ms)
        decisions: list[Decision] = []
        for _ in range(DUE_PER_CALL_MAX):
            row = self._memory.due(now_ms)
            if row is None:
                break
            decisions += self._woken(row, now_ms)
        return decisions

    def next_ms(self) -> int:
        """When to call `due` and `wants_roster` again; NEVER_MS: only after something happened."""
        return min(self._memory.next_ms(), self._lists.next_ms())

    # -- the operator ------------------------------------------------------------------------------------------------

    def silence(self, silence: Silence, now_ms: int) -> bool:
        """What it covers is not told while it lasts. False: there are too many."""
        return self._memory.add_silence(silence, now_ms)

    def unsilence(self, silence_id: str) -> None:
        self._memory.drop_silence(silence_id)

    def silences(self, now_ms: int) -> list[Silence]:
        return [one for one in self._memory.silences.values() if now_ms < one.until_ms]

    # -- lists ---------------------------------------------------------------------------------------------------------

    def wants_roster(self, now_ms: int) -> list[RosterRequest]:
        """Lists that are due, each named once; answer with `give_roster`, or `ask_again`."""
        return self._lists.wants(now_ms)

    def give_roster(
        self, request: RosterRequest, members: Iterable[RosterMember], now_ms: int
    ) -> list[Decision]:  # fmt: skip
        """The answer to a request."""
        return self._lists.give(request, members, now_ms)

    def ask_again(self, request: RosterRequest) -> None:
        """The answer could not be had: `wants_roster` shall name it again."""
        self._lists.ask_again(request)

    # -- state ---------------------------------------------------------------------------------------------------------

    def changes(self) -> list[tuple[str, bytes | None]]:
        """Rows changed since the last call; None is a tombstone."""
        return self._memory.changes()

    def restore(self, key: str, row: bytes) -> None:
        """Take back a row of `changes`, before anything else happens; in any order. Raises UnreadablePlanError."""
        self._memory.restore(key, row)

    def spent(self, now_ms: int) -> int:
        """Messages of the day's budget that are used up."""
        spent = self._memory.spent
        return spent.messages if spent.day >= at(now_ms, self._destination.zone).date().toordinal() else 0

    @property
    def waiting(self) -> int:
        """Messages that wait for something."""
        return len(self._memory.waiting)

    @property
    def accounts(self) -> int:
        return len(self._memory.accounts)

    # -- how -----------------------------------------------------------------------------------------------------------

    def _note(self, news: News, facts: Facts) -> None:
        """Where the account is now."""
        account = self._memory.account(news.account_id)
        gone = left(news)
        if gone is not None:
            account.segments.pop(gone, None)
        if news.direction != Direction.EXITED and len(account.segments) < SEGMENTS_MAX:
            account.segments[news.segment] = news.effective_at_ms
        account.facts = dict(facts)
        if account.empty:
            self._memory.drop_account(news.account_id)

    def _overtaken(self, news: News, now_ms: int) -> list[Decision]:
        """End what waits for something that this news says will not be."""
        ended = []
        for row in self._memory.of_account(news.account_id):
            plan = self._destination.play(row.play)
            if plan is None:
                continue
            if row.phase is Phase.DWELL and left(news) == row.segment:
                reason = Reason.NO_LONGER_TRUE
            elif stopped(row, plan, news):
                reason = Reason.STOPPED
            else:
                continue
            self._memory.take_out(row.seq)
            ended.append(self._pipeline.ended(Message(row, row.news(), plan), reason, now_ms))
        return ended

    def _message(self, plan: PlayPlan, news: News, source: Source, facts: Facts) -> Message | None:
        """What a play asks for; None if it does not wait for this news."""
        play = plan.play
        found = match(play, news)
        if found is None:
            return None
        row = first_message(self._memory.next_seq(), play.id, play.template, found, news, source, facts)
        if play.dwell_days is not None:
            due_ms = news.effective_at_ms + round(play.dwell_days * DAY_MS)
            row = msgspec.structs.replace(
                row, phase=Phase.DWELL, due_ms=due_ms, scheduled_at_ms=due_ms, mark=f"dwell {play.dwell_days:g}"
            )
        return Message(row, news, plan)

    def _started(self, message: Message, now_ms: int) -> list[Decision]:
        row = message.row
        dwells = row.phase is Phase.DWELL
        name = self._name_of(row)
        waiting = (self._name_of(one) for one in self._memory.of_account(row.account) if one.seq != row.seq)
        if name in waiting:
            return [self._pipeline.ended(message, Reason.ALREADY_OPEN, now_ms)]
        since_ms = row.due_ms if dwells else None
        reason = freshness(message.news, message.play, now_ms, self._destination.max_age_h, since_ms)
        if reason is not Reason.PLANNED:
            return [self._pipeline.ended(message, reason, now_ms)]
        if dwells and row.due_ms > now_ms:
            return [self._pipeline.wait(message, row, Reason.DWELLING, now_ms)]
        return self._pipeline.admit(message, now_ms)

    def _woken(self, row: Waiting, now_ms: int) -> list[Decision]:
        """Go on with something that has waited long enough."""
        if row.phase is Phase.GROUP:
            return self._pipeline.flush(row.group, now_ms)
        self._memory.take_out(row.seq)
        message = self._pipeline.message(row)
        if message is None:
            return [Decision(orphan(self._destination.id, row, now_ms), Reason.PLAY_REMOVED)]
        if row.phase is Phase.STEP:
            return self._stepped(message, now_ms)
        if row.phase is Phase.DWELL:
            return self._started(message, now_ms)
        return self._pipeline.admit(message, now_ms)

    def _stepped(self, message: Message, now_ms: int) -> list[Decision]:
        """A further message of a sequence is due; the next one waits for its own time."""
        row, plan = message.row, message.plan
        segments = self._memory.seen(row.account).segments
        waits: list[Decision] = []
        if goes_on(row, plan, segments):
            later = following(row, plan, self._memory.next_seq(), now_ms)
            if later is not None:
                waits = [self._pipeline.wait(Message(later, message.news, plan), later, Reason.NEXT_STEP, now_ms)]
        return self._pipeline.admit(message, now_ms) + waits

    def _name_of(self, row: Waiting) -> str:
        return name_of(self._destination.id, row)
