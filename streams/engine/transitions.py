"""One evaluation: a decision at the account's `now`, and the transitions between the memberships before and after.

A transition carries what explains it: the readings that its conditions saw, what failed or held on leaving, and for
what was entered, when it will be left if nothing happens (`forecast`). The evaluation also says when to come again: the
next moment at which the decision may be another, or a window's edge. Evaluating twice at the same moment changes
nothing, so an evaluation too many is never wrong.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from streams.engine.account import Account
from streams.engine.decision import decide
from streams.engine.forecast import forecast_of
from streams.engine.found import Transition, Trigger
from streams.engine.rules.expression import Node, Op
from streams.engine.working import Working


def evaluate(account_id: str, account: Account, working: Working, trigger: Trigger) -> list[Transition]:
    """Evaluate at `account.now`, update memberships and `account.next_at`; return what changed, in catalog order."""
    working.roll(working.program.calendar.day_of(account.now))
    members, next_at = decide(account, working)
    account.next_at = min(next_at, working.next_edge_at())
    if members == working.members:
        return []
    return _emit(account_id, account, working, members, trigger)


def _emit(account_id: str, account: Account, working: Working, members: int, trigger: Trigger) -> list[Transition]:
    program, before = working.program, working.members
    changed = before ^ members
    working.members = members
    transitions = []
    for unit in program.units:
        if changed & unit.mask:
            left, entered = before & changed & unit.mask, members & changed & unit.mask
            transitions.append(_transition(account_id, account, working, left, entered, trigger))
    # What was entered ends by the memberships as they are after the whole evaluation: others may count on them.
    return [_with_forecast(found, account, working) for found in transitions]


def _with_forecast(found: Transition, account: Account, working: Working) -> Transition:
    if found.direction == "exited":
        return found
    forecast = forecast_of(found.segment, account, working)
    return found if forecast is None else replace(found, forecast=forecast)


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
        # A group's member that is overtaken by an earlier segment has failed in nothing: neither list is there.
        if rule.exit_when is None:
            if not _holds(rule.when, parts):
                evidence["failed"] = [part.text for part in rule.when.parts() if not parts[part.text]]
        elif _holds(rule.exit_when, parts):
            evidence["held"] = [part.text for part in rule.exit_when.parts() if parts[part.text]]
    return evidence


def _holds(rule: Node, parts: Mapping[str, bool]) -> bool:
    """Whether a rule holds, given which of its outermost parts do."""
    found = [parts[part.text] for part in rule.parts()]
    return any(found) if rule.op is Op.OR else all(found)


def _plain(value: Any) -> Any:
    """Whole floats as integers, other floats to a millisecond of a day, infinity (since an unknown time) as a text."""
    if type(value) is not float:
        return value
    if value in (float("inf"), float("-inf")):
        return "never"
    return int(value) if value.is_integer() else round(value, 8)
