"""What accounts are ranked by: values of definitions, and the keys that order accounts as these values do.

Theory of operation. A look at the population takes every account to one moment, most of them ahead of their own clock.
So it leaves the account's own working set alone and rolls a second, smaller one, which has the windows of the ranked
definitions and no others: a copy that is made when it is first asked for and goes with the next record, for a copy may
be rolled but sees nothing new.

The time since a moment has another value every day, for every account; but it orders accounts as the moment does, which
stays. So accounts are kept in order by *keys*: the moment, or its negative, where a definition is the time since or
until it, and else the value itself. Equal keys are equal values and greater keys are greater ones: a float of days
tells two milliseconds apart for a hundred thousand years. A definition that moves in another way has no such key.
"""

from typing import Any, Final

from mypy_extensions import i64

from streams.engine.account import Account
from streams.engine.calendar import DAY_MS
from streams.engine.live import Live
from streams.engine.population import Values
from streams.engine.program import Program
from streams.engine.rules.compile import compile_ranked
from streams.engine.rules.expression import Node, Op
from streams.engine.rules.judge import Ranked
from streams.engine.rules.linear import quotient
from streams.engine.rules.readings import EXACT
from streams.engine.rules.slots import Slots
from streams.engine.rules.view import View
from streams.engine.working import Working

Keys = tuple[Any, ...]
"""The keys of an account, in the order of the program's definitions; None where its value is unknown."""


class Span:
    """The time since a moment, or until it: by which moment it orders accounts, and its values."""

    def __init__(self, moment: Node, *, since: bool, negated: bool) -> None:
        self.moment = moment
        self._since = since
        self._negated = negated
        self._reversed = since != negated

    @staticmethod
    def of(node: Node) -> "Span | None":
        """A definition as a span, if it is one."""
        negated = False
        while node.op is Op.NEGATE:
            node, negated = node.args[0], not negated
        if node.op not in (Op.SINCE, Op.UNTIL) or node.args[0].moves_with_time():
            return None
        return Span(node.args[0], since=node.op is Op.SINCE, negated=negated)

    def key(self, moment: int) -> int:
        return -moment if self._reversed else moment

    def values(self, keys: list[Any], at_ms: int) -> list[float]:
        """The values as of a moment that have these keys."""
        found: list[float] = []
        now: i64 = at_ms
        since, is_reversed, negated = self._since, self._reversed, self._negated
        moment: i64
        for place in range(len(keys)):
            moment = keys[place]
            if is_reversed:
                moment = -moment
            length = now - moment if since else moment - now
            days = float(int(length)) / DAY_MS if -EXACT <= length <= EXACT else quotient(length, DAY_MS)
            found.append(-days if negated else days)
        return found


class Ranking:
    """The ranked definitions of one program.

    `has_keys`: whether each of them has keys that time does not change. `is_stepwise`: whether its rules change by
    themselves at moments that are the same whenever they are computed, for they compare times with constants alone.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names: Final = tuple(program.slots.ranked)
        self.asked: Final = [*program.slots.ranked.values()]
        nodes = [program.definition_nodes[name] for name in self.names]
        self._spans = [Span.of(node) for node in nodes]
        ordering = [node if span is None else span.moment for node, span in zip(nodes, self._spans, strict=True)]
        self.has_keys: Final = not any(node.moves_with_time() for node in ordering)
        self.is_stepwise: Final = all(
            _is_step(node) for rule in program.rules for condition in rule.conditions() for node in condition.walk()
        )
        self._cut_down = program.with_slots(Slots.of(nodes))
        slots, bits = self._cut_down.slots, dict(program.bits)
        self._values: Ranked = compile_ranked(nodes, slots, bits)
        self._ordering: Ranked = compile_ranked(ordering, slots, bits)

    def values_at(self, live: Live, at_ms: int) -> Values:
        """What an account is ranked by, as of `at_ms`. Leaves its own windows alone."""
        return self._values.of(View(live.account, self._scratch_at(live, at_ms), at_ms, 0))

    def values_of(self, account: Account, at_ms: int) -> Values:
        """The same of an account that is decoded for this alone."""
        return self._values.of(View(account, self._working_at(account, at_ms), at_ms, 0))

    def keys_at(self, live: Live, at_ms: int) -> Keys:
        """The keys of an account, as of `at_ms`. Leaves its own windows alone."""
        return self._keys(live.account, self._scratch_at(live, at_ms), at_ms)

    def keys_of(self, account: Account, at_ms: int) -> Keys:
        """The same of an account that is decoded for this alone."""
        return self._keys(account, self._working_at(account, at_ms), at_ms)

    def values(self, keys: list[list[Any]], at_ms: int) -> list[list[Any]]:
        """Of each definition the values that have these keys."""
        found = []
        for place in range(len(self._spans)):
            span = self._spans[place]
            found.append(keys[place] if span is None else span.values(keys[place], at_ms))
        return found

    def _keys(self, account: Account, working: Working, at_ms: int) -> Keys:
        found = self._ordering.list_of(View(account, working, at_ms, 0))
        spans = self._spans
        for place in range(len(spans)):
            span, value = spans[place], found[place]
            if span is not None and value is not None:
                found[place] = span.key(value)
        return tuple(found)

    def _scratch_at(self, live: Live, at_ms: int) -> Working:
        """The smaller working set of an account as of `at_ms`."""
        account, scratch = live.account, live.scratch
        if scratch is None:
            scratch = live.scratch = live.working.ahead(account, self._cut_down)
        if scratch.counted:
            scratch.roll(self.program.calendar.day_of(max(account.now, at_ms)))
        return scratch

    def _working_at(self, account: Account, at_ms: int) -> Working:
        return Working(self._cut_down, account, at=max(account.now, at_ms))


def _is_step(node: Node) -> bool:
    """Whether a comparison changes once, at a distance from one moment, if time changes it at all."""
    if node.op is not Op.COMPARE or not (node.args[0].linear or node.args[1].linear):
        return True
    if node.args[1].op is Op.TERM and node.args[1].value.name == "threshold":
        return True  # as of the latest look, whatever the time
    sides = {node.args[0].op, node.args[1].op}
    return node.value not in ("==", "!=") and Op.CONST in sides and bool(sides & {Op.SINCE, Op.UNTIL})
