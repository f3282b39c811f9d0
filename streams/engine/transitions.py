"""One evaluation: a decision at the account's `now`, and the transitions between the memberships before and after.

A transition carries what explains it: the readings that its conditions saw, what failed or held on leaving, and for
what was entered, when it will be left if nothing happens (`forecast`). The evaluation also says when to come again: the
next moment at which the decision may be another, or a window's edge. Evaluating twice at the same moment changes
nothing, so an evaluation too many is never wrong.
"""

from typing import Any

from streams.engine.account import Account
from streams.engine.decision import decide
from streams.engine.forecast import forecast_of
from streams.engine.found import Transition, Trigger
from streams.engine.program import Program
from streams.engine.rules.view import View
from streams.engine.working import Working


def evaluate(
    account_id: str, account: Account, working: Working, trigger: Trigger, arrived_at: int | None = None
) -> list[Transition]:
    """Evaluate at `account.now`, update memberships and `account.next_at`; return what changed, in catalog order."""
    working.roll(working.program.calendar.day_of(account.now))
    at = View(account, working, account.now, working.members)
    next_at = decide(working.program, at)
    account.next_at = min(next_at, working.next_edge_at())
    if at.members == working.members:
        return []
    return _emit(account_id, account, working, at, trigger, arrived_at)


def _emit(
    account_id: str, account: Account, working: Working, at: View, trigger: Trigger, arrived_at: int | None
) -> list[Transition]:
    """Take the new memberships over, then say what changed: a forecast may count on any of them."""
    program, now, before, members = working.program, account.now, working.members, at.members
    changed = before ^ members
    working.members = members
    units = [unit for unit in program.units if changed & unit.mask]
    since = [
        _take_over(account, program, before & changed & unit.mask, members & changed & unit.mask) for unit in units
    ]
    facts = known_facts(account, program)
    found: list[Transition] = []
    for place, unit in enumerate(units):
        left, entered = before & changed & unit.mask, members & changed & unit.mask
        account.sequence += 1
        segment = program.ids[(entered or left).bit_length() - 1]
        found.append(
            Transition(
                account_id,
                segment,
                "exited" if not entered else "moved" if left else "entered",
                unit.group,
                program.ids[left.bit_length() - 1] if left and entered else None,
                now,
                account.sequence,
                program.version,
                evidence_of(program, at, left, entered),
                trigger,
                since[place],
                forecast_of(segment, account, working) if entered else None,
                arrived_at=arrived_at,
                facts=facts,
            )
        )
    return found


def known_facts(account: Account, program: Program) -> dict[str, Any] | None:
    """What is known of an account beside its segments and goes out with them, as of now: it may change by and by."""
    traits = account.traits
    if not traits:
        return None
    return {name: traits[name][1] for name in program.account_facts if name in traits}


def _take_over(account: Account, program: Program, left: int, entered: int) -> int | None:
    """Note what one unit left and entered, at most one segment each; return when the segment left had been entered."""
    entered_at = None
    if left:
        segment = program.ids[left.bit_length() - 1]
        entered_at = account.members.pop(segment)
        account.exits[segment] = account.now
    if entered:
        account.members[program.ids[entered.bit_length() - 1]] = account.now
    return entered_at


def evidence_of(program: Program, at: View, left: int, entered: int) -> dict[str, Any]:
    """What the conditions saw: the values they read, and on leaving, the parts of the rules that made it leave.

    `values` maps each reading, as the rule writes it, to its value. `failed` are the top-level parts of `when` that no
    longer hold, `held` the parts of `exit_when` that now do.
    """
    values: dict[str, Any] = {}
    evidence: dict[str, Any] = {"values": values}
    if entered:
        program.evidence[entered.bit_length() - 1].show(at, values)
    if left:
        index = left.bit_length() - 1
        program.evidence[index].show(at, values)
        # A group's member that is overtaken by an earlier segment has failed in nothing: neither list is there.
        parts = program.parts[index]
        if parts.exit_when is None:
            failed = parts.when.failed(at)
            if failed:
                evidence["failed"] = failed
        else:
            held = parts.exit_when.held(at)
            if held:
                evidence["held"] = held
    return evidence
