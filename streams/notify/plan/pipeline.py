"""From a message that somebody asked for to one that is sent, or to the reason why it is not, or not now.

Theory of operation. A message passes these, in this order, and is looked at from the beginning whenever it comes back
from waiting:

    objection   silenced? no longer true? inhibited? told too recently? a step whose condition fails?      -> ends
    order       an earlier message about the account waits                                                  -> waits
    quiet       quiet hours, on the clock of the account, its owner or the destination                      -> waits
    exposure    where the play is measured: now the account counts as told, in both arms; control          -> ends
    group       others of its kind are waited for, and told together                                        -> waits
    budget      the day's is spent: held for the summary of the next day                                    -> waits

A group is told when it is due: every message in it is looked at again (`objection`, `order`, `quiet`), the rest is one
delivery. What a play gathers for a cron slot and what is over the budget are groups too, with times of their own. A
message that has counted as told is not asked again whether it was told too recently; if it then is not sent after all,
that is taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from schemas.action import Arm, Reason
from schemas.playbook import GROUP_MAX, Play
from schemas.transition import Direction
from streams.notify.plan.budget import Spent, next_day_ms, spend
from streams.notify.plan.cron import next_slot_ms
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import SEPARATOR
from streams.notify.plan.destination import STANDARD_DIGEST, DestinationPlan
from streams.notify.plan.drafts import Message, digest, draft, orphan
from streams.notify.plan.holdout import arm, measured
from streams.notify.plan.inhibit import inhibition
from streams.notify.plan.memory import Account, Group, Memory
from streams.notify.plan.news import News
from streams.notify.plan.owner import owner_of
from streams.notify.plan.sequence import begin
from streams.notify.plan.throttle import throttle
from streams.notify.plan.waiting import BY, CRON, HELD, Phase, Waiting

HELD_MAX: Final = 50
GATHERED_MAX: Final = GROUP_MAX
GROUP_BYTES_MAX: Final = 512 << 10
"""What the records of one group may come to: a delivery carries them all."""
COMMON: Final = BY + "*"
"""Where messages go when there are as many groups as there may be."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """How a group is told."""

    template: str
    joined: Reason
    full: Reason
    messages_max: int
    interval_ms: int = 0


class Pipeline:
    def __init__(self, destination: DestinationPlan, memory: Memory) -> None:
        self._destination = destination
        self._memory = memory

    def message(self, row: Waiting, news: News | None = None) -> Message | None:
        """None: its play is no longer there."""
        plan = self._destination.play(row.play)
        return None if plan is None else Message(row, news or row.news(), plan)

    # -- one message ---------------------------------------------------------------------------------------------

    def admit(self, message: Message, now_ms: int) -> list[Decision]:
        """Look at a message that does not wait, or no longer."""
        row = message.row
        self._memory.take_out(row.seq)
        reason = self._objection(message, now_ms)
        if reason is not Reason.PLANNED:
            return [self.ended(message, reason, now_ms)]
        if message.play.cron is not None and not row.exposed_ms:
            return self._join(message, f"{CRON}{row.play}", now_ms)
        earlier = self._earlier(row, self._would_wait_in(message, now_ms))
        if earlier is not None:
            return [self.wait(message, row.again(Phase.ORDER, earlier.due_ms), Reason.IN_ORDER, now_ms)]
        opens = self._opens_ms(message, now_ms)
        if opens > now_ms:
            return [self.wait(message, row.again(Phase.QUIET, opens), Reason.QUIET_HOURS, now_ms)]
        told, decisions = self._exposed(message, now_ms)
        if told is None:
            return decisions
        if self._destination.group is not None:
            return decisions + self._join(told, self._group_of(told, now_ms), now_ms)
        return decisions + self._send([told], None, 0, now_ms)

    def ended(self, message: Message, reason: Reason, now_ms: int, given: Arm | None = None) -> Decision:
        """It is not sent. Had it counted as told, it does so no longer."""
        row = message.row
        if row.exposed_ms:
            account = self._memory.seen(row.account)
            if row.exposed_ms in (account.told_segments.get(row.segment), account.told_plays.get(row.play)):
                account = self._memory.account(row.account)
                _forget(account.told_segments, row.segment, row.exposed_ms)
                _forget(account.told_plays, row.play, row.exposed_ms)
        return Decision(draft(self._destination.id, message, now_ms), reason, given)

    def wait(self, message: Message, row: Waiting, reason: Reason, now_ms: int) -> Decision:
        if self._memory.full(row.account):
            return self.ended(message, Reason.WAITING_FULL, now_ms)
        self._memory.put(row)
        return Decision(draft(self._destination.id, message, now_ms), reason, until_ms=row.due_ms)

    def _objection(self, message: Message, now_ms: int) -> Reason:
        """PLANNED, or why it must not be sent."""
        row, play = message.row, message.play
        silences = self._memory.silences.values()
        if any(one.covers(row.account, row.segment, row.play, now_ms) for one in silences):
            return Reason.SILENCED
        account = self._memory.seen(row.account)
        if not _holds(message, account):
            return Reason.NO_LONGER_TRUE
        reason = inhibition(play, account.segments)
        if reason is not Reason.PLANNED or row.exposed_ms or row.step:
            return reason
        return throttle(play, row.segment, account.told_segments, account.told_plays, now_ms)

    def _earlier(self, row: Waiting, group: str = "") -> Waiting | None:
        """The first message about the account that must be sent before, and does not wait in the same group anyway."""
        before = (one for one in self._memory.of_account(row.account) if one.ordered and one.seq < row.seq)
        return next((one for one in before if not group or one.group != group), None)

    def _would_wait_in(self, message: Message, now_ms: int) -> str:
        """The group that a message would join now; none: it would be sent."""
        if self._destination.group is not None:
            return self._group_of(message, now_ms)
        return HELD if self._spent([], None, now_ms) is None else ""

    def _opens_ms(self, message: Message, now_ms: int) -> int:
        return self._destination.opens_ms(message.play.owner, message.row.facts, now_ms)

    def _exposed(self, message: Message, now_ms: int) -> tuple[Message | None, list[Decision]]:
        """From now on it counts as told. None in place of the message: the account is held out."""
        row, play, destination = message.row, message.play, self._destination
        if row.exposed_ms or row.step:
            return message, []
        if play.reentry is not None:
            self._memory.account(row.account).told_plays[play.id] = now_ms
        if destination.remembers_ms:
            account, oldest_ms = self._memory.account(row.account), now_ms - destination.remembers_ms
            account.told_segments = {name: at for name, at in account.told_segments.items() if at > oldest_ms}
            account.told_segments[row.segment] = now_ms
        message = Message(row.exposed(now_ms), message.news, message.plan)
        if not measured(play, destination.holdout_percent):
            return message, []
        given = arm(play, row.account, destination.salt, destination.holdout_percent)
        delivery = draft(destination.id, message, now_ms)
        exposure = Decision(delivery, Reason.EXPOSED, given)
        if given is Arm.CONTROL:
            return None, [exposure, Decision(delivery, Reason.HOLDOUT, given)]
        return message, [exposure]

    # -- groups --------------------------------------------------------------------------------------------------

    def flush(self, name: str, now_ms: int) -> list[Decision]:
        """A group's time has come: tell what is due of it."""
        decisions: list[Decision] = []
        going: list[Message] = []
        for row in self._memory.of_group(name):
            if row.due_ms > now_ms:
                continue
            found = self.message(row)
            if found is None:
                self._memory.take_out(row.seq)
                decisions.append(Decision(orphan(self._destination.id, row, now_ms), Reason.PLAY_REMOVED))
                continue
            ready, more = self._ready(found, now_ms)
            decisions += more
            going += ready
        if going:
            decisions += self._send(going, name, self._memory.groups.get(name, Group()).more, now_ms)
        return decisions

    def _ready(self, message: Message, now_ms: int) -> tuple[list[Message], list[Decision]]:
        """The message if it may go with its group now."""
        row = message.row
        self._memory.take_out(row.seq)
        reason = self._objection(message, now_ms)
        if reason is not Reason.PLANNED:
            return [], [self.ended(message, reason, now_ms)]
        earlier = self._earlier(row)
        if earlier is not None and row.ordered:
            later_ms = max(earlier.due_ms, now_ms + self._gathering(row.group).interval_ms)
            return [], [self.wait(message, row.again(row.phase, later_ms, row.group), Reason.IN_ORDER, now_ms)]
        opens = self._opens_ms(message, now_ms)
        if opens > now_ms:
            # What has a time of its own stays together; the others form groups again when it is time.
            stays = not row.group.startswith(BY)
            waiting = row.again(Phase.GROUP, opens, row.group) if stays else row.again(Phase.QUIET, opens)
            return [], [self.wait(message, waiting, Reason.QUIET_HOURS, now_ms)]
        told, decisions = self._exposed(message, now_ms)
        return ([] if told is None else [told]), decisions

    def _join(self, message: Message, name: str, now_ms: int) -> list[Decision]:
        """Let it wait for its group, which then tells all of its messages at once."""
        memory, gathering = self._memory, self._gathering(name)
        group, rows = memory.groups.get(name, Group()), memory.of_group(name)
        size = sum(len(row.value) for row in rows) + len(message.row.value)
        if len(rows) >= gathering.messages_max or (rows and size > GROUP_BYTES_MAX):
            memory.set_group(name, Group(group.told_ms, group.more + 1))
            return [Decision(draft(self._destination.id, message, now_ms), gathering.full)]
        due_ms = self._group_due_ms(name, message.play, now_ms)
        if name != HELD:  # what is held waits for a new budget, whatever others of it wait for
            due_ms = max(min([due_ms, *(row.due_ms for row in rows)]), now_ms)
        return [self.wait(message, message.row.again(Phase.GROUP, due_ms, name), gathering.joined, now_ms)]

    def _group_due_ms(self, name: str, play: Play, now_ms: int) -> int:
        """When a group that begins now is told."""
        zone_, grouping = self._destination.zone, self._destination.group
        if name == HELD:
            return next_day_ms(self._memory.spent, zone_, now_ms)
        if name.startswith(CRON) and play.cron is not None:
            return next_slot_ms(play.cron, zone_, now_ms)
        if grouping is None:
            return now_ms
        told_ms = self._memory.groups.get(name, Group()).told_ms
        return max(now_ms + round(grouping.wait_s * 1_000), told_ms + round(grouping.interval_s * 1_000))

    def _group_of(self, message: Message, now_ms: int) -> str:
        grouping = self._destination.group
        assert grouping is not None
        row = message.row
        parts = {
            "segment": row.segment,
            "direction": row.direction.value,
            "play": row.play,
            "account": row.account,
            "owner": owner_of(message.play.owner, row.facts) or "",
        }
        name = BY + SEPARATOR.join(f"{by}={parts[by]}" for by in grouping.by)
        if name in self._memory.groups:
            return name
        return COMMON if self._memory.groups_full(now_ms, round(grouping.interval_s * 1_000)) else name

    def _gathering(self, name: str) -> Gathering:
        grouping = self._destination.group
        if name == HELD:
            template = self._destination.summary_template
            return Gathering(template, Reason.OVER_BUDGET, Reason.BUDGET_FULL, HELD_MAX)
        if name.startswith(CRON):
            plan = self._destination.play(name.removeprefix(CRON))
            template = STANDARD_DIGEST if plan is None else plan.play.template
            return Gathering(template, Reason.GATHERED, Reason.GROUP_FULL, GATHERED_MAX)
        if grouping is None:
            return Gathering(STANDARD_DIGEST, Reason.GROUPED, Reason.GROUP_FULL, GROUP_MAX)
        template, interval_ms = grouping.template or STANDARD_DIGEST, round(grouping.interval_s * 1_000)
        return Gathering(template, Reason.GROUPED, Reason.GROUP_FULL, grouping.max, interval_ms)

    # -- sending -------------------------------------------------------------------------------------------------

    def _send(self, messages: Sequence[Message], group: str | None, more: int, now_ms: int) -> list[Decision]:
        """One delivery about all of them, if the budget has it; else they are held."""
        memory = self._memory
        spent = self._spent(messages, group, now_ms)
        if spent is None:
            return [decision for message in messages for decision in self._join(message, HELD, now_ms)]
        memory.set_spent(spent)
        if group is not None and self._gathering(group).interval_ms:
            memory.set_group(group, Group(now_ms))
        elif group is not None:
            memory.set_group(group, Group())
        if len(messages) > 1 or more or (group or "").startswith(CRON):
            template = self._gathering(group or COMMON).template
            delivery = replace(
                digest(self._destination.id, messages, template, now_ms), more=more, lane=group or COMMON
            )
        else:
            # In the lane of its group, or it might overtake a digest that has to be sent again.
            lane = group if group is not None and group.startswith(BY) else ""
            delivery = replace(draft(self._destination.id, messages[0], now_ms), lane=lane)
        decisions = [Decision(delivery, Reason.PLANNED)]
        for message in messages:
            decisions += self._begin(message, now_ms)
        return decisions

    def _spent(self, messages: Sequence[Message], group: str | None, now_ms: int) -> Spent | None:
        """What is spent with one more message, or None. One is reserved for the oldest of those that are held."""
        destination, held = self._destination, self._memory.of_group(HELD)
        oldest = group == HELD and all(messages[0].row.seq < row.seq for row in held)
        reserved = 1 if held and not oldest else 0
        return spend(self._memory.spent, destination.budget_per_day, destination.zone, now_ms, reserved)

    def _begin(self, message: Message, now_ms: int) -> list[Decision]:
        """The first message of a sequence was sent: the next one has its time."""
        if message.row.step or not message.plan.occasions:
            return []
        old = [row for row in self._memory.of_account(message.row.account) if row.step and row.play == message.row.play]
        ends = []
        for row in old:
            self._memory.take_out(row.seq)
            ends.append(self.ended(Message(row, row.news(), message.plan), Reason.RESTARTED, now_ms))
        row = begin(message.row, message.plan, self._memory.next_seq(), now_ms)
        return [*ends, self.wait(Message(row, message.news, message.plan), row, Reason.NEXT_STEP, now_ms)]


def _holds(message: Message, account: Account) -> bool:
    """Whether what the message says, and for a step its condition, is still so."""
    row = message.row
    if row.step and row.step <= len(message.plan.occasions):
        condition = message.plan.occasions[row.step - 1].step.holds
        if isinstance(condition, str):
            return condition in account.segments
        if condition is False:
            return True
    if row.step or row.direction is Direction.EXITED:
        return row.match.still_true(account.segments)
    # Whoever left and came back entered anew: that is another message.
    return account.segments.get(row.segment) == message.news.effective_at_ms


def _forget(told: dict[str, int], name: str, at_ms: int) -> None:
    if told.get(name) == at_ms:
        del told[name]
