"""One evaluation: from the account's state at `now` to its memberships, and the transitions between.

    present member, with exit_when     stays until exit_when holds
    present member, without            stays while `when` holds
    no member                          enters if `when` holds and exit_when does not
    leaving within min_dwell           waits until entered_at + dwell, and is dropped if it is not due then
    entering within cooldown           waits until last exit + cooldown; in a group the next one in order has its turn
    group                              the first in order that holds or may enter; a move is one transition

Steady state is a comparison of bit masks; dwell and cooldown are looked at only where it says that something changes.
The evaluation also says when to come again: the next boundary of a condition, window edge, or end of a wait.
Evaluating twice at the same moment changes nothing, so an evaluation too many is never wrong.
"""

from dataclasses import dataclass
from typing import Any, Literal

from schemas.event import EventType
from streams.engine.account import Account
from streams.engine.program import Program, Stratum
from streams.engine.rules.linear import NEVER
from streams.engine.working import Working

Direction = Literal["entered", "exited", "moved"]
Trigger = tuple[str, EventType] | Literal["deadline", "thresholds", "catalog"]  # message id and type, or the cause


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of membership. Times in ms UTC; `entered_at` is when the left membership began."""

    account_id: str
    segment: str
    direction: Direction
    group: str | None
    from_segment: str | None
    effective_at: int
    sequence: int
    catalog_version: str
    evidence: dict[str, Any]
    trigger: Trigger
    entered_at: int | None


def evaluate(account_id: str, account: Account, working: Working, trigger: Trigger) -> list[Transition]:
    """Evaluate at `account.now`, update memberships and `account.next_at`; return what changed, in catalog order."""
    program, now = working.program, account.now
    working.roll(program.calendar.day_of(now))
    members, next_at = working.members, working.next_edge_at()
    for stratum in program.strata:
        when, exits, flips_at = stratum.decide(account, working, now, members)
        present = members & stratum.mask
        target = (present | when) & ~exits & stratum.singles
        for unit in stratum.groups:
            holding = (when | present & program.has_exit) & ~exits & unit.mask
            target |= holding & -holding
        if target != present:
            target, wait_at = _with_waits(account, program, stratum, present, target, when, exits)
            next_at = min(next_at, wait_at)
            members = members & ~stratum.mask | target
        next_at = min(next_at, flips_at)
    account.next_at = next_at
    if members == working.members:
        return []
    return _emit(account_id, account, working, members, trigger)


def _with_waits(
    account: Account, program: Program, stratum: Stratum, present: int, target: int, when: int, exits: int
) -> tuple[int, int]:
    """The target after dwell and cooldown, and the end of the earliest wait."""
    wait_at = NEVER
    changed = (present ^ target) & stratum.singles
    while changed:
        bit = changed & -changed
        changed ^= bit
        until = _leave_at(account, program, bit) if present & bit else _enter_at(account, program, bit)
        if until > account.now:
            target ^= bit
            wait_at = min(wait_at, until)
    for unit in stratum.groups:
        if (present ^ target) & unit.mask:
            member, until = _group_member(account, program, present & unit.mask, when, exits, unit.mask)
            target = target & ~unit.mask | member
            wait_at = min(wait_at, until)
    return target, wait_at


def _group_member(
    account: Account, program: Program, present: int, when: int, exits: int, mask: int
) -> tuple[int, int]:
    if present:
        until = _leave_at(account, program, present)
        if until > account.now:
            return present, until
    wait_at = NEVER
    holding = (when | present & program.has_exit) & ~exits & mask
    while holding:
        bit = holding & -holding
        until = account.now if bit == present else _enter_at(account, program, bit)
        if until <= account.now:
            return bit, wait_at
        wait_at = min(wait_at, until)
        holding ^= bit
    return 0, wait_at


def _leave_at(account: Account, program: Program, bit: int) -> int:
    """The first moment at which a member may leave."""
    index = bit.bit_length() - 1
    return account.members[program.segments[index].id] + program.dwell_ms[index]


def _enter_at(account: Account, program: Program, bit: int) -> int:
    """The first moment at which a former member may enter again."""
    index = bit.bit_length() - 1
    cooldown_ms = program.cooldown_ms[index]
    last_exit = account.exits.get(program.segments[index].id) if cooldown_ms else None
    return -NEVER if last_exit is None else last_exit + cooldown_ms


def _emit(account_id: str, account: Account, working: Working, members: int, trigger: Trigger) -> list[Transition]:
    program, before = working.program, working.members
    changed = before ^ members
    working.members = members
    transitions = []
    for unit in program.units:
        if changed & unit.mask:
            left, entered = before & changed & unit.mask, members & changed & unit.mask
            transitions.append(_transition(account_id, account, working, left, entered, trigger))
    return transitions


def _transition(
    account_id: str, account: Account, working: Working, left: int, entered: int, trigger: Trigger
) -> Transition:
    """The transition of one unit; at most one bit is left and at most one entered."""
    program, now = working.program, account.now
    of = (entered or left).bit_length() - 1
    segment = program.segments[of]
    from_segment = program.segments[left.bit_length() - 1].id if left else None
    evidence = evidence_of(account, working, left, entered)
    entered_at = None
    if from_segment is not None:
        entered_at = account.members.pop(from_segment)
        account.exits[from_segment] = now
    if entered:
        account.members[segment.id] = now
    account.sequence += 1
    return Transition(
        account_id=account_id,
        segment=segment.id,
        direction="moved" if left and entered else "entered" if entered else "exited",
        group=segment.group,
        from_segment=from_segment if entered else None,
        effective_at=now,
        sequence=account.sequence,
        catalog_version=program.version,
        evidence=evidence,
        trigger=trigger,
        entered_at=entered_at,
    )


def evidence_of(account: Account, working: Working, left: int, entered: int) -> dict[str, Any]:
    """What the conditions saw: the values they read, and on leaving, the parts of the rules that made it leave.

    `values` maps each reading, as the rule writes it, to its value. `failed` are the top-level parts of `when` that no
    longer hold, `held` the parts of `exit_when` that now do.
    """
    program, now, members = working.program, account.now, working.members
    values: dict[str, Any] = {}
    evidence: dict[str, Any] = {"values": values}
    for bit in (entered, left):
        if bit:
            seen = program.evidence[bit.bit_length() - 1](account, working, now, members)
            values.update({text: _plain(value) for text, value in seen.items()})
    if left:
        index = left.bit_length() - 1
        rule, parts = program.rules[index], program.parts[index](account, working, now, members)
        failed = [part.text for part in rule.when.parts() if not parts[part.text]]
        held = [part.text for part in rule.exit_when.parts() if parts[part.text]] if rule.exit_when else []
        # A group's member that is overtaken by an earlier segment has failed in nothing.
        if held:
            evidence["held"] = held
        elif failed and rule.exit_when is None:
            evidence["failed"] = failed
    return evidence


def _plain(value: Any) -> Any:
    """Whole floats as integers, other floats to a millisecond of a day, infinity (since an unknown time) as a text."""
    if type(value) is not float:
        return value
    if value in (float("inf"), float("-inf")):
        return "never"
    return int(value) if value.is_integer() else round(value, 8)
