"""Why an account is in a segment or not, and what would change it: each part of its rules, held against the account.

Theory of operation. A rule is a tree of conditions. Every condition of it is judged at one moment, and then again at
every later moment at which time alone may change it (`forecast.Ahead`): so each is known to hold or not, and
when it will turn by itself. What a record would have to bring is for `distance` to say.

A part is an operand of a rule's outermost `and` or `or`: what its author wrote as one condition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.catalog import Segment
from streams.engine.account import Account
from streams.engine.distance import JUNCTIONS, Missing, Seen, change_of, missing_of
from streams.engine.forecast import Ahead, forecast_of
from streams.engine.found import Forecast
from streams.engine.program import Program
from streams.engine.rules.compile import Rule, compile_values
from streams.engine.rules.expression import Node, Op
from streams.engine.rules.judge import Named
from streams.engine.working import Working


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a rule. `turns_at`: when it turns by itself, ms UTC; `change`: what would turn it, in words."""

    text: str
    holds: bool
    values: dict[str, Any]
    missing: Missing | None
    turns_at: int | None
    change: str | None


@dataclass(frozen=True, slots=True)
class RuleState:
    """A whole rule; `needs` says whether all of its parts have to hold, or any."""

    text: str
    holds: bool
    needs: str
    parts: tuple[Part, ...]
    turns_at: int | None


@dataclass(frozen=True, slots=True)
class SegmentState:
    """An account and a segment. `waits_until`: the end of a dwell or cooldown that has not passed.

    `enters_at`: when an account outside enters if nothing happens; `forecast`: when a member leaves.
    """

    segment: Segment
    entered_at: int | None
    when: RuleState
    exit_when: RuleState | None
    waits_until: int | None
    enters_at: int | None
    forecast: Forecast | None


def explain(account: Account, working: Working, at_ms: int) -> list[SegmentState]:
    """Every segment of the catalog as of `at_ms`, to which the account has been brought; changes nothing."""
    return [explain_segment(segment, account, working, at_ms) for segment in working.program.segments]


def explain_segment(segment: Segment, account: Account, working: Working, at_ms: int) -> SegmentState:
    now = max(account.now, at_ms)
    bit = working.program.bits[segment.id]
    rule = working.program.rules[bit]
    conditions = _conditions(rule)
    values: dict[str, Any] = {}
    holds: dict[str, bool] = {}
    turns_at: dict[str, int] = {}
    enters_at = None
    judge: Named | None = None
    ahead = Ahead(bit, account, working, now)
    at = ahead.at
    while ahead.step():
        if judge is None:
            judge = _compiled(conditions, ahead.program)
            values = _compiled(_readings(rule), ahead.program).values(at)
            holds = {text: bool(value) for text, value in judge.values(at).items()}
        for text, value in judge.values(at).items():
            if bool(value) != holds[text]:
                turns_at.setdefault(text, at.now)
        if enters_at is None and at.members >> bit & 1:
            enters_at = at.now
    seen = Seen(values, holds, turns_at, now, working)
    is_member = segment.id in account.members
    return SegmentState(
        segment=segment,
        entered_at=account.members.get(segment.id),
        when=_rule_state(rule.when, seen),
        exit_when=None if rule.exit_when is None else _rule_state(rule.exit_when, seen),
        waits_until=_waits_until(bit, account, working, now),
        enters_at=None if is_member else enters_at,
        forecast=forecast_of(segment.id, account, working, now) if is_member else None,
    )


def _waits_until(bit: int, account: Account, working: Working, now: int) -> int | None:
    program = working.program
    segment = program.segments[bit].id
    if segment in account.members:
        until = account.members[segment] + program.dwell_ms[bit]
    elif segment in account.exits:
        until = account.exits[segment] + program.cooldown_ms[bit]
    else:
        return None
    return until if until > now else None


# Trees


def _conditions(rule: Rule) -> dict[str, Node]:
    """Every condition in a segment's rules, by its text: whole rules, their parts, and what these are made of."""
    found: dict[str, Node] = {}

    def visit(node: Node) -> None:
        found.setdefault(node.text, node)
        if node.op in JUNCTIONS:
            for arg in node.args:
                visit(arg)

    for node in rule.conditions():
        visit(node)
    return found


def _read_by(node: Node) -> Iterator[Node]:
    """What a condition reads of the account; a rank is read as such, not as the percentiles that make it."""
    if node.op in (Op.TERM, Op.SINCE, Op.UNTIL, Op.QUINTILE):
        yield node
    if node.op is not Op.QUINTILE:
        for arg in node.args:
            yield from _read_by(arg)


def _readings(rule: Rule) -> dict[str, Node]:
    """What conditions read, and the sides of their comparisons; constants are no readings."""
    found: dict[str, Node] = {}
    for root in rule.conditions():
        sides = (arg for node in root.walk() if node.op is Op.COMPARE for arg in node.args if arg.op is not Op.CONST)
        for node in (*_read_by(root), *sides):
            found.setdefault(node.text, node)
    return found


def _compiled(nodes: dict[str, Node], program: Program) -> Named:
    return compile_values(nodes, program.slots, program.bits)


def _rule_state(node: Node, seen: Seen) -> RuleState:
    return RuleState(
        text=node.text,
        holds=seen.holds[node.text],
        needs="any" if node.op is Op.OR else "all",
        parts=tuple(_part(part, seen) for part in node.parts()),
        turns_at=seen.turns_at.get(node.text),
    )


def _part(node: Node, seen: Seen) -> Part:
    holds, turns_at = seen.holds[node.text], seen.turns_at.get(node.text)
    return Part(
        text=node.text,
        holds=holds,
        values={one.text: seen.values[one.text] for one in _read_by(node)},
        missing=missing_of(node, seen, wanted=not holds) if node.op is Op.COMPARE else None,
        turns_at=turns_at,
        change=change_of(node, seen, wanted=not holds),
    )
