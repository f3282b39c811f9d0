"""Lists of a destination: when each is due, and what it says.

A list knows its next time from the one before. A time that passes while nobody works is made up for once, and never
twice; one in quiet hours is put off to their end, and is the same list as any that falls due until then. Who is in
the segment has to be asked for (`wants`), since a destination hears of changes and not of everybody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from schemas.action import Arm, Reason
from schemas.playbook import Play
from streams.connectors.message import MessageKind
from streams.notify.plan.budget import spend
from streams.notify.plan.cron import next_slot_ms
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery, Item, delivery_id
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.holdout import arm, measured
from streams.notify.plan.inhibit import inhibition
from streams.notify.plan.memory import LIST_MEMORY_MAX, NEVER_MS, Listing, Memory
from streams.notify.plan.owner import owner_of
from streams.notify.plan.quiet import opens_ms
from streams.notify.plan.roster import RosterMember, RosterRequest, as_news, in_order, no_source, since_last
from streams.notify.plan.waiting import HELD

NOBODY = "*"
"""In place of an account, where a list is empty."""


class Lists:
    def __init__(self, destination: DestinationPlan, memory: Memory) -> None:
        self._destination = destination
        self._memory = memory
        self._plays = {one.play.id: one.play for one in destination.plays if one.play.roster is not None}
        self._rosters = {name: play.roster for name, play in self._plays.items() if play.roster is not None}
        self._asked: set[str] = set()

    def next_ms(self) -> int:
        """0: there is a list whose time is not known yet."""
        waiting = [0 if (known := self._known(play)) is None else known.run_ms for play in self._idle()]
        return min(waiting, default=NEVER_MS)

    def due(self, now_ms: int) -> None:
        """Find the times of new lists, and put off what would come in quiet hours."""
        destination = self._destination
        for play in self._idle():
            known = self._known(play)
            if known is None:
                slot_ms = next_slot_ms(str(play.cron), destination.zone, now_ms)
                old = self._memory.lists.get(play.id)
                last_ms, last = (None, []) if old is None else (old.last_ms, old.last)
                self._memory.set_list(play.id, Listing(str(play.cron), slot_ms, slot_ms, last_ms, last))
            elif known.run_ms <= now_ms:
                run_ms = opens_ms(destination.quiet_hours, destination.calendar, destination.zone, now_ms)
                if run_ms > now_ms:
                    put_off = Listing(known.cron, known.slot_ms, run_ms, known.last_ms, known.last)
                    self._memory.set_list(play.id, put_off)

    def wants(self, now_ms: int) -> list[RosterRequest]:
        """Each is named once until it is answered, or `ask_again`."""
        self.due(now_ms)
        found = []
        for play in self._idle():
            known = self._known(play)
            if known is not None and known.run_ms <= now_ms:
                found.append(RosterRequest(play.id, self._rosters[play.id].segment, known.slot_ms))
        self._asked |= {request.play for request in found}
        return found

    def ask_again(self, request: RosterRequest) -> None:
        self._asked.discard(request.play)

    def give(self, request: RosterRequest, members: Iterable[RosterMember], now_ms: int) -> list[Decision]:
        """Make the list."""
        self._asked.discard(request.play)
        play = self._plays.get(request.play)
        known = None if play is None else self._known(play)
        if play is None or known is None or known.slot_ms != request.scheduled_at_ms:
            return []
        roster = self._rosters[play.id]
        wanted = (self._known_better(one) for one in members if self._wanted(play, one.account_id, now_ms))
        ordered = in_order(wanted, roster)
        told = [one for one in ordered if self._arm(play, one) is Arm.TREATMENT]
        reason = self._objection(play, told, now_ms)
        decisions: list[Decision] = []
        names = [one.account_id for one in told[:LIST_MEMORY_MAX]]
        change = since_last(names, known.last, known.last_ms)
        if reason in {Reason.PLANNED, Reason.EMPTY_LIST}:
            for member in ordered[: roster.top]:
                decisions += self._exposed(play, member, request, now_ms)
            known = Listing(known.cron, known.slot_ms, known.run_ms, request.scheduled_at_ms, names)
        self._reschedule(play, known, max(now_ms, request.scheduled_at_ms))
        shown = told[: roster.top] or [RosterMember(NOBODY, request.scheduled_at_ms)]
        delivery = replace(
            self._delivery(play, request, shown, now_ms), more=max(len(told) - len(shown), 0), since_last=change
        )
        return [*decisions, Decision(delivery, reason)]

    def _objection(self, play: Play, told: Sequence[RosterMember], now_ms: int) -> Reason:
        """PLANNED, and the budget has one less, or why the list is not sent."""
        destination, segment = self._destination, self._rosters[play.id].segment
        if any(one.covers(NOBODY, segment, play.id, now_ms) for one in self._memory.silences.values()):
            return Reason.SILENCED
        if not told:
            return Reason.EMPTY_LIST
        reserved = 1 if self._memory.of_group(HELD) else 0
        spent = spend(self._memory.spent, destination.budget_per_day, destination.zone, now_ms, reserved)
        if spent is None:
            return Reason.OVER_BUDGET
        self._memory.set_spent(spent)
        return Reason.PLANNED

    def _reschedule(self, play: Play, known: Listing, after_ms: int) -> None:
        slot_ms = next_slot_ms(known.cron, self._destination.zone, after_ms)
        self._memory.set_list(play.id, Listing(known.cron, slot_ms, slot_ms, known.last_ms, known.last))

    def _idle(self) -> list[Play]:
        return [play for name, play in self._plays.items() if name not in self._asked]

    def _known(self, play: Play) -> Listing | None:
        """When it is due, unless its times have been changed since."""
        known = self._memory.lists.get(play.id)
        return known if known is not None and known.cron == play.cron else None

    def _wanted(self, play: Play, account: str, now_ms: int) -> bool:
        """Whether nothing is said against this one account."""
        segment = self._rosters[play.id].segment
        silences = (one for one in self._memory.silences.values() if one.account is not None)
        if any(one.covers(account, segment, play.id, now_ms) for one in silences):
            return False
        return inhibition(play, self._memory.seen(account).segments) is Reason.PLANNED

    def _known_better(self, member: RosterMember) -> RosterMember:
        """With the facts that its transitions brought, where the roster has none."""
        return member if member.facts else replace(member, facts=self._memory.seen(member.account_id).facts)

    def _arm(self, play: Play, member: RosterMember) -> Arm:
        destination = self._destination
        return arm(play, member.account_id, destination.salt, destination.holdout_percent)

    def _exposed(self, play: Play, member: RosterMember, request: RosterRequest, now_ms: int) -> list[Decision]:
        """Once for each time that the account entered the segment."""
        if not measured(play, self._destination.holdout_percent):
            return []
        if self._memory.seen(member.account_id).listed.get(play.id) == member.entered_at_ms:
            return []
        self._memory.account(member.account_id).listed[play.id] = member.entered_at_ms
        given = self._arm(play, member)
        delivery = self._delivery(play, request, [member], now_ms)
        exposure = Decision(delivery, Reason.EXPOSED, given)
        return [exposure] if given is Arm.TREATMENT else [exposure, Decision(delivery, Reason.HOLDOUT, given)]

    def _delivery(self, play: Play, request: RosterRequest, members: list[RosterMember], now_ms: int) -> Delivery:
        items = [
            Item(as_news(one, request, now_ms), no_source(request), one.facts, owner_of(play.owner, one.facts))
            for one in members
        ]
        name = self._destination.id
        return Delivery(
            delivery_id=delivery_id(name, f"{play.id}@{request.scheduled_at_ms}", play.template, "list"),
            play=play.id,
            destination=name,
            template=play.template,
            planned_at_ms=now_ms,
            news=items[0].news,
            source=items[0].source,
            not_before_ms=now_ms,
            kind=MessageKind.LIST,
            facts=items[0].facts,
            owner=items[0].owner,
            others=tuple(items[1:]),
            scheduled_at_ms=request.scheduled_at_ms,
            lane=f"list:{play.id}",
        )
