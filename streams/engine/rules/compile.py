"""From typed trees to objects that compiled code evaluates.

Theory of operation. A node of a rule becomes a reading or a condition (`readings`, `conditions`): of the most special
kind that means the same whatever the account. A number that is always known and whole is compared as such; an age with
a constant by its exact boundary; where a value may be unknown or of any type, the functions of `values` judge. A node
that several rules share becomes one object. What is made of them decides strata and tells values by name (`judge`).

Only trees made by `parse` come here. Sums and distinct counts over windows are kept by `windows`, and read by their
place in its numbers.
"""

import math
import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

from streams.engine.rules import conditions as c
from streams.engine.rules import linear, values
from streams.engine.rules import readings as r
from streams.engine.rules.expression import Kind, Node, Op, Term
from streams.engine.rules.judge import (
    WORD,
    Edge,
    Flip,
    Judge,
    Junction,
    Named,
    Parts,
    Ranked,
    Ruling,
    Rulings,
    Where,
    Word,
)
from streams.engine.rules.slots import DISTINCT, Slots
from streams.engine.rules.view import STANDINGS
from streams.engine.rules.vocabulary import ALL_ACTIVITY, STAGES

_SWAPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_FROM: Final = {"<": (True, False), "<=": (True, True), ">": (False, True), ">=": (False, False)}
"""For each symbol, whether the numbers below a limit satisfy it, and whether the limit is the first one above."""
_SCORE_MAX: Final = 1 << 30
_FAR_MS: Final = 1 << 61
"""No two moments are so far apart."""
_PLAIN: Final[dict[str, Callable[..., Any]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "negate": operator.neg,
    "min": min, "max": max, "abs": abs, "round": round,
}  # fmt: skip
_FACTS: Final[dict[str, Callable[[], r.Reading]]] = {
    "activation_rate": r.ActivationRate, "mrr": r.Mrr, "nps": r.Nps, "plan": r.Plan, "usage_ratio": r.UsageRatio,
}  # fmt: skip
_MOMENTS: Final[dict[str, Callable[[], r.Moment]]] = {
    "signed_up_at": r.SignedUpAt, "trial_ends_at": r.TrialEndsAt, "last_active_at": r.LastActiveAt,
}  # fmt: skip


@dataclass
class _Maker:
    """Makes objects of nodes, and notes when what it made changes by itself."""

    slots: Slots
    bits: Mapping[str, int]
    made: dict[Node, r.Reading] = field(default_factory=dict)
    judged: dict[Node, c.Condition] = field(default_factory=dict)
    edges: dict[Node, tuple[r.Moment, set[int]]] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)
    ends_trial: bool = False
    asks_standing: bool = False

    # Values

    def reading(self, node: Node) -> r.Reading:
        made = self.made.get(node)
        if made is None:
            made = self.made[node] = self._reading(node)
        return made

    def _reading(self, node: Node) -> r.Reading:
        args = node.args
        match node.op:
            case Op.CONST:
                return _constant(node.value)
            case Op.TERM:
                return self._term(node, node.value)
            case Op.SINCE | Op.UNTIL:
                return r.Age(self.moment(args[0]), since=node.op is Op.SINCE)
            case Op.ARITHMETIC | Op.NEGATE | Op.CALL:
                return self._computed(node, [self.reading(arg) for arg in args])
            case Op.DEFAULT:
                default = r.MovingDefault if node.linear else r.Default
                return default(self.reading(args[0]), self.reading(args[1]))
            case Op.QUINTILE:
                percents = [arg.args[1].value.percent for arg in args[1:]]
                return r.Quintile(self._as_ranked(args[0]), args[1].args[1].value.event, percents)
            case Op.TIME_OF:
                return r.TimeOf(self.reading(args[0]))
            case _:
                return r.Judged(self.condition(node))

    def moment(self, node: Node) -> r.Moment:
        made = self.reading(node)
        return made if isinstance(made, r.Moment) else r.Found(made)

    def told(self, node: Node) -> r.Reading:
        """The value as it is told: times are written out."""
        return r.Written(self.moment(node)) if node.kind is Kind.TIME else self.reading(node)

    def _as_ranked(self, node: Node) -> r.AsRanked:
        comparable = node.kind is Kind.NUMBER
        return r.AsRanked(self.reading(node), moves=node.moves_with_time(), comparable=comparable)

    def _computed(self, node: Node, args: list[r.Reading]) -> r.Reading:
        """Arithmetic: plain operators where all is known and nothing can overflow to no number."""
        symbol = "negate" if node.op is Op.NEGATE else node.value
        if not _is_finite(node):
            if node.linear:
                return r.Moving(symbol, values.MOVING[symbol], args)
            return r.Computed(values.ARITHMETIC[symbol], args)
        if node.op is Op.NEGATE and isinstance(args[0], r.Whole):
            return r.WholeSum("-", r.WholeConstant(0), args[0])
        if node.op is Op.NEGATE and isinstance(args[0], r.Real):
            return r.Negated(args[0])
        if node.op is Op.ARITHMETIC:
            one, other = args
            if isinstance(one, r.Whole) and isinstance(other, r.Whole):
                return r.WholeSum(symbol, one, other) if symbol != "/" else r.Computed(operator.truediv, args)
            if symbol == "*" and isinstance(one, r.WholeConstant | r.RealConstant) and isinstance(other, r.Score):
                return r.Multiple(one, other)
            if all(isinstance(arg, r.Whole | r.Real) for arg in args):
                return r.RealArithmetic(symbol, one, other)
        return r.Computed(_PLAIN[symbol], args)

    def place(self, term: Term) -> int:
        """Where the number stands that is kept of a window."""
        days, before, plan = term.days, term.before, self.slots.plan
        if term.name in DISTINCT:
            return plan.place_of_distinct(DISTINCT.index(term.name), days)
        return plan.place_of_sum(self.slots.figure_of(term), (days, before))

    def _term(self, node: Node, term: Term) -> r.Reading:
        match term.name:
            case "count" if not term.days:
                return r.Total() if term.event == ALL_ACTIVITY else r.TotalOf(term.event)
            case "count" | "active_users" | "teams" | "core_features" | "active_days":
                return r.Counted(self.place(term))
            case "score":
                return r.Score(self.place(term))
            case "last":
                return r.LastOf(term.event)
            case "trait":
                return r.Trait(term.event)
            case "measure":
                return r.Measured(term.event, term.days, term.before)
            case "threshold":
                return r.Percentile(term.event, term.percent)
            case "property":
                return r.Property(tuple(term.event.split(".")))
            case "sequence" | "member" | "activated":
                return r.Judged(self.condition(node))
            case "stage":
                self.ends_trial = True
                return r.Stage()
            case name if node.kind is Kind.TIME:
                return _MOMENTS[name]() if name in _MOMENTS else r.Found(r.Fact(name))
            case name:
                return _FACTS[name]() if name in _FACTS else r.Fact(name)

    # Conditions

    def condition(self, node: Node) -> c.Condition:
        judged = self.judged.get(node)
        if judged is None:
            judged = self.judged[node] = self._condition(node)
        return judged

    def _condition(self, node: Node) -> c.Condition:
        args = node.args
        match node.op:
            case Op.AND | Op.OR:
                return _joined(c.both if node.op is Op.AND else c.either, [self.condition(arg) for arg in args])
            case Op.NOT:
                return c.Not(self.condition(args[0]))
            case Op.COMPARE:
                return self._comparison(node)
            case Op.IS_NONE:
                return self._known(args[0], known=node.value == "!=")
            case Op.KNOWN:
                return self._known(args[0], known=True)
            case Op.IN:
                return self._membership(args[0], args[1:], negated=bool(node.value))
            case Op.CONTAINS | Op.STARTS_WITH:
                function = values.contains if node.op is Op.CONTAINS else values.starts_with
                return c.Asked(function, self.reading(args[0]), self.reading(args[1]))
            case Op.TERM:
                return self._fact(node, node.value)
            case Op.CONST:
                return c.Settled(result=bool(node.value))
            case _:
                return c.Truth(self.reading(node))

    def _fact(self, node: Node, term: Term) -> c.Condition:
        match term.name:
            case "activated":
                self.asks_standing = True
                return c.Activated()
            case "member":
                bit = self.bits.get(term.event)  # none: a segment that is not enabled has no members
                return c.Settled(result=False) if bit is None else c.Member(bit)
            case "sequence":
                return c.InSequence(term.event, term.other, term.within_ms, term.days)
            case _:
                return c.Truth(self.reading(node))

    def _known(self, node: Node, *, known: bool) -> c.Condition:
        if not node.nullable and not node.linear:
            return c.Settled(result=known)
        condition = c.Known(self.reading(node))
        return condition if known else c.Not(condition)

    def _membership(self, node: Node, items: Sequence[Node], *, negated: bool) -> c.Condition:
        if _is(node, "stage"):
            return self._stage_in((item.value for item in items), negated=negated)
        function = values.not_in if negated else values.is_in
        return c.In(function, self.reading(node), tuple(item.value for item in items))

    def _stage_in(self, stages: Iterable[Any], *, negated: bool) -> c.Condition:
        self.ends_trial = self.asks_standing = True
        among = {STAGES.index(stage) for stage in stages}
        return c.StageIn(sum(1 << place for place in range(len(STAGES)) if (place in among) is not negated))

    def _comparison(self, node: Node) -> c.Condition:
        left, right = node.args
        symbol: str = node.value
        if _is(right, "threshold"):
            percentile = self.reading(right)
            assert isinstance(percentile, r.Percentile), "a threshold is a percentile"
            assert symbol == ">=", "the parser writes no other"
            return c.Reaches(self._as_ranked(left), percentile)
        if left.linear or right.linear:
            return self._moving(node)
        if Kind.ANY in (left.kind, right.kind):
            return c.Asked(values.COMPARE[symbol], self.reading(left), self.reading(right))
        if left.op is Op.CONST:
            left, right, symbol = right, left, _SWAPPED[symbol]
        if right.op is Op.CONST:
            if _is(left, "stage") and symbol in ("==", "!="):
                return self._stage_in([right.value], negated=symbol == "!=")
            if symbol in _FROM and right.kind is Kind.NUMBER:
                window = self._window_limit(left, symbol, right.value)
                if window is not None:
                    return window
        return _compared(symbol, self.reading(left), self.reading(right))

    def _window_limit(self, node: Node, symbol: str, limit: float) -> c.Condition | None:
        """What a window holds, compared with a constant."""
        if not (node.op is Op.TERM and node.value.days) or abs(limit) >= _SCORE_MAX:
            return None
        made = self.reading(node)
        early, strictly = _FROM[symbol]
        if isinstance(made, r.Score):
            least = _least_thousandths(limit, strictly=strictly)
        elif isinstance(made, r.Counted):
            least = math.floor(limit) + 1 if strictly else math.ceil(limit)
        else:
            return None
        return (c.WindowBelow if early else c.WindowAtLeast)(self.place(node.value), least)

    def _moving(self, node: Node) -> c.Condition:
        """A comparison that time changes: by an integer boundary where it has the simple form, else by lines."""
        (left, right), symbol = node.args, node.value
        if right.op in (Op.SINCE, Op.UNTIL) and left.op is Op.CONST:
            left, right, symbol = right, left, _SWAPPED[symbol]
        simple = left.op in (Op.SINCE, Op.UNTIL) and right.op is Op.CONST and right.kind is Kind.NUMBER
        if simple and symbol not in ("==", "!="):
            limit = linear.boundary(left.op, symbol, right.value)
            moment = self.moment(left.args[0])
            offset_ms = max(-_FAR_MS, min(_FAR_MS, limit.offset_ms))
            self.edges.setdefault(left.args[0], (moment, set()))[1].add(offset_ms)
            return (c.Younger if limit.early else c.Older)(moment, offset_ms, unknown=limit.unknown)
        one, other = (self.reading(arg) for arg in node.args)
        self.flips.append(Flip(one, other))
        return c.Moving(node.value, one, other)

    def judge(self, rules: "Sequence[Rule]") -> Judge:
        """What decides these segments."""
        when: dict[int, list[Ruling]] = {}
        exits: dict[int, list[Ruling]] = {}
        mirrored = 0
        for rule in rules:
            first = rule.bit // WORD * WORD
            bit = 1 << (rule.bit - first)
            when.setdefault(first, []).append(Ruling(self.condition(rule.when), bit))
            if rule.exit_when is None:
                mirrored |= 1 << rule.bit
            else:
                exits.setdefault(first, []).append(Ruling(self.condition(rule.exit_when), bit))
        words = [
            [Word(first, Rulings(when[first], standing), Rulings(exits.get(first, ()), standing)) for first in when]
            for standing in (range(STANDINGS) if self.asks_standing else (-1,))
        ]
        edges = [Edge(moment, offsets_ms) for moment, offsets_ms in self.edges.values()]
        return Judge(words, mirrored, edges, self.flips, ends_trial=self.ends_trial)


def _constant(value: Any) -> r.Reading:
    if type(value) is int:
        return r.WholeConstant(value)
    return r.RealConstant(value) if type(value) is float else r.Constant(value)


def _joined(junction: Callable[[c.Condition, c.Condition], c.Condition], parts: list[c.Condition]) -> c.Condition:
    """The conditions as pairs of a first one and the rest."""
    return reduce(lambda rest, part: junction(part, rest), reversed(parts))


def _compared(symbol: str, one: r.Reading, other: r.Reading) -> c.Condition:
    if isinstance(one, r.Quintile) and isinstance(other, r.WholeConstant):
        return _in_fifths(symbol, one, other.value) or c.CompareWhole(symbol, one, other)
    if isinstance(one, r.Score) and isinstance(other, r.Score):
        return c.Scores(symbol, one, 1.0, other)
    if isinstance(one, r.Score) and isinstance(other, r.Multiple):
        return c.Scores(symbol, one, other.factor, other.score)
    if isinstance(one, r.Whole) and isinstance(other, r.Whole):
        return c.CompareWhole(symbol, one, other)
    if all(isinstance(side, r.Real | r.Counted | r.WholeConstant) for side in (one, other)):
        return c.CompareReal(symbol, one, other)
    return c.CompareKnown(symbol, one, other)


def _in_fifths(symbol: str, quintile: r.Quintile, limit: int) -> c.Condition | None:
    """A quintile compared with a constant, where the fifths that will do follow each other."""
    fifths = range(1, len(quintile.percents) + 2)
    among = [fifth for fifth in fifths if values.COMPARE[symbol](fifth, limit)]
    none = values.COMPARE[symbol](0, limit)
    if not among:
        return None if none else c.Settled(result=False)
    if among[-1] - among[0] >= len(among):
        return None
    return c.InFifths(quintile, among[0], among[-1], none=none)


def _is(node: Node, term: str) -> bool:
    return node.op is Op.TERM and node.value.name == term


def _is_finite(node: Node) -> bool:
    """Whether a value is known and a finite number whatever the account: no time is too far for a float in days."""
    if node.nullable:
        return False
    if node.op is Op.NEGATE and node.linear:
        return _is_finite(node.args[0])
    return not node.linear or (node.op in (Op.SINCE, Op.UNTIL) and not node.args[0].nullable)


def _least_thousandths(score: float, *, strictly: bool) -> int:
    """The least number of thousandths that, as the float it is divided to, is >= the score (or > it, if strictly)."""

    def reached(thousandths: int) -> bool:
        return thousandths / 1000 > score if strictly else thousandths / 1000 >= score

    guess = math.ceil(score * 1000)
    around = range(guess - 2, guess + 3)  # more than the product and the quotient can be off together
    return around[bisect_left(around, x=True, key=reached)]


@dataclass(frozen=True)
class Rule:
    """A segment's rules, parsed. `bit` is its place in the catalog."""

    id: str
    bit: int
    when: Node
    exit_when: Node | None

    def conditions(self) -> tuple[Node, ...]:
        return (self.when,) if self.exit_when is None else (self.when, self.exit_when)


def compile_judge(rules: Sequence[Rule], slots: Slots, bits: Mapping[str, int]) -> Judge:
    """What decides the segments of one stratum."""
    return _Maker(slots, bits).judge(rules)


def compile_where(node: Node) -> Where:
    """The condition of a named event."""
    return Where(_Maker(Slots.of([]), {}).condition(node))


def compile_evidence(rule: Rule, slots: Slots, bits: Mapping[str, int]) -> Named:
    """What a segment's conditions see: each reading by its text."""
    make = _Maker(slots, bits)
    seen: dict[str, r.Reading] = {}
    for node in (node for condition in rule.conditions() for node in condition.walk()):
        if node.op in (Op.TERM, Op.SINCE, Op.UNTIL) and node.text not in seen:
            seen[node.text] = make.told(node)
    return Named(seen)


def compile_values(nodes: Mapping[str, Node], slots: Slots, bits: Mapping[str, int]) -> Named:
    """Named expressions."""
    make = _Maker(slots, bits)
    return Named({name: make.told(node) for name, node in nodes.items()})


def compile_ranked(nodes: Sequence[Node], slots: Slots, bits: Mapping[str, int]) -> Ranked:
    """What an account is ranked by."""
    make = _Maker(slots, bits)
    return Ranked([make.reading(node) for node in nodes])


def compile_parts(rule: Rule, slots: Slots, bits: Mapping[str, int]) -> Parts:
    """Which parts of a segment's rules hold: the operands of its outermost and/or."""
    make = _Maker(slots, bits)
    junctions = [
        Junction([(part.text, make.condition(part)) for part in node.parts()], is_any=node.op is Op.OR)
        for node in rule.conditions()
    ]
    return Parts(junctions[0], junctions[1] if len(junctions) > 1 else None)
