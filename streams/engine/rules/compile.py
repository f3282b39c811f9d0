"""From typed trees to one Python function per stratum that decides all segments of an account at once.

Theory of operation. The rules of a stratum (segments that depend on no other segment's membership decided later) become
the body of one function

    decide(a, w, now, members) -> (when, exits, next)

over the account `a`, its working set `w` and the members so far. A reading of state that several rules use is a local
variable, computed once; what one place alone reads is read there, if it comes to that. Sums and distinct counts over
windows are kept by `windows`, and read by their place in its list. `when` and `exits` are bit masks over the segments
in catalog order. `next` is the first moment after now at which a condition may change by itself: comparisons of since()
and until() contribute their exact boundaries, the stage its end of trial. Window edges are the caller's (they fall on
day starts alike for all rules).

What is compared most is compared as whole numbers: the milliseconds since a moment with a boundary (`linear`), a score
in thousandths with the least number of them that will do.

A second function per segment returns what its conditions saw; it runs only when a transition is emitted.
Only trees made by `parse` come here, and every text in them is written with repr(): no rule can inject code.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from schemas.timestamps import format_ms
from streams.engine.calendar import DAY_MS
from streams.engine.rules import linear, values
from streams.engine.rules.expression import Kind, Node, Op, Term
from streams.engine.rules.slots import DISTINCT, Slots
from streams.engine.rules.vocabulary import ALL_ACTIVITY

if TYPE_CHECKING:
    from streams.engine.account import Account
    from streams.engine.working import Working

Decide = Callable[["Account", "Working", int, int], tuple[int, int, int]]
Evidence = Callable[["Account", "Working", int, int], dict[str, Any]]

_SWAPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass
class _Emitter:
    """Writes expressions as source. Readings of state become numbered locals of the function's prologue."""

    slots: Slots
    bits: dict[str, int]
    prologue: dict[str, str] = field(default_factory=dict)  # source -> local
    # moment, time since it, whether that may be unknown -> offsets in ms
    boundaries: dict[tuple[str, str, bool], set[int]] = field(default_factory=dict)
    flips: list[str] = field(default_factory=list)  # sources of next_flip calls
    uses_stage: bool = False
    uses_values: bool = False  # `v`: the numbers of the windows
    now: str = "now"  # the moment that expressions are of

    def local(self, source: str) -> str:
        """The local of a reading; those that it is made of have lower numbers."""
        return self.prologue.setdefault(source, f"v{len(self.prologue)}")

    # Values

    def value(self, node: Node) -> str:
        args = node.args
        match node.op:
            case Op.CONST:
                return repr(node.value)
            case Op.TERM:
                return self.local(self.term(node.value))
            case Op.SINCE | Op.UNTIL:
                moment = self.value(args[0])
                length = f"({self.now} - {moment})" if node.op is Op.SINCE else f"({moment} - {self.now})"
                known = f"{length} / {DAY_MS}"
                return f"(INF if {moment} is None else {known})" if args[0].nullable else f"({known})"
            case Op.ARITHMETIC | Op.NEGATE | Op.CALL:
                return self.computed(node)
            case Op.DEFAULT:
                first = self.value(args[0])
                return f"(d if (d := {first}) is not None else {self.value(args[1])})"
            case Op.QUINTILE:
                reached = " + ".join(self.condition(arg) for arg in args[1:])
                threshold = self.value(args[1].args[1])
                return f"(0 if {threshold} is None or {self.as_ranked(args[0])} is None else 1 + {reached})"
            case Op.TIME_OF:
                return self.local(f"time_of({self.value(args[0])})")
            case _:
                return f"bool({self.condition(node)})"

    def as_ranked(self, node: Node) -> str:
        """The value as of the latest look at the population: a local, for rules compare it with several cuts."""
        self.now = "w.ranked_at"
        source = self.value(node)
        self.now = "now"
        return self.local(source)

    def computed(self, node: Node) -> str:
        """Arithmetic: plain operators where all is known and nothing can overflow to no number."""
        args = [self.value(arg) for arg in node.args]
        symbol = "negate" if node.op is Op.NEGATE else node.value
        if not _is_finite(node):
            table = "MOVING" if node.linear else "ARITHMETIC"
            return f"{table}[{symbol!r}]({', '.join(args)})"
        match node.op:
            case Op.NEGATE:
                return f"(-{args[0]})"
            case Op.ARITHMETIC:
                return f"({args[0]} {symbol} {args[1]})"
            case _:
                return f"{symbol}({', '.join(args)})"

    def kept(self, term: Term) -> str:
        """The source of the number that is kept of a window."""
        days, before, plan = term.days, term.before, self.slots.plan
        self.uses_values = True
        if term.name in DISTINCT:
            return f"v[{plan.place_of_distinct(DISTINCT.index(term.name), days)}]"
        return f"v[{plan.place_of_sum(self.slots.figure_of(term), (days, before))}]"

    def window(self, term: Term) -> str:
        """The source of one reading of a window."""
        return f"{self.local(self.kept(term))} / 1000" if term.name == "score" else self.kept(term)

    def term(self, term: Term) -> str:
        """The source of one reading of state."""
        match term.name:
            case "count" if not term.days:
                if term.event == ALL_ACTIVITY:
                    return "a.total"
                return f"(s.total if (s := a.events.get({term.event!r})) is not None else 0)"
            case "count" | "score" | "active_users" | "teams" | "core_features" | "active_days":
                return self.window(term)
            case "last":
                return f"(s.last if (s := a.events.get({term.event!r})) is not None else None)"
            case "trait":
                return f"a.trait({term.event!r})"
            case "measure":
                return f"w.measure({term.event!r}, {term.days}, {term.before})"
            case "threshold":
                return f"{self.local(f'w.percentiles({term.event!r})')}[{term.percent}]"
            case "property":
                return f"property_at(p, {tuple(term.event.split('.'))!r})"
            case "sequence":
                index = self.slots.sequences.index((term.event, term.other, term.within_ms))
                return f"w.sequence_in({index}, {term.days})"
            case "member":
                bit = self.bits.get(term.event)  # none: a segment that is not enabled has no members
                return "False" if bit is None else f"(members & {1 << bit} != 0)"
            case "stage":
                self.uses_stage = True
                return f"w.stage({self.now})"
            case _:
                return f"w.{term.name}"

    # Conditions

    def condition(self, node: Node) -> str:
        args = node.args
        match node.op:
            case Op.AND | Op.OR:
                return "(" + f" {node.op} ".join(self.condition(arg) for arg in args) + ")"
            case Op.NOT:
                return f"(not {self.condition(args[0])})"
            case Op.COMPARE:
                return self.comparison(node)
            case Op.IS_NONE:
                return self.known(args[0], known=node.value == "!=")
            case Op.KNOWN:
                return self.known(args[0], known=True)
            case Op.IN:
                items = ", ".join(repr(item.value) for item in args[1:])
                if not args[0].nullable and all(item.kind is args[0].kind is Kind.TEXT for item in args[1:]):
                    return f"({self.value(args[0])} {'not in' if node.value else 'in'} ({items},))"
                return f"{'not_in' if node.value else 'is_in'}({self.value(args[0])}, ({items},))"
            case Op.CONTAINS | Op.STARTS_WITH:
                return f"{node.op}({self.value(args[0])}, {self.value(args[1])})"
            case _:
                return self.value(node)

    def known(self, node: Node, *, known: bool) -> str:
        """Whether a value is known, or is not. Of a constant, asking would earn a warning."""
        if not node.nullable and not node.linear:
            return repr(known)
        return f"({self.value(node)} is {'not ' if known else ''}None)"

    def comparison(self, node: Node) -> str:
        left, right = node.args
        symbol: str = node.value
        if _is_threshold(right):
            threshold, ranked = self.value(right), self.as_ranked(left)
            if left.kind is not Kind.NUMBER:
                return f"({threshold} is not None and compare_moving({symbol!r}, {ranked}, {threshold}))"
            known = "" if _is_finite(left) else f"{ranked} is not None and "
            return f"({threshold} is not None and {known}{ranked} {symbol} {threshold})"
        if left.linear or right.linear:
            return self.moving(node)
        if Kind.ANY in (left.kind, right.kind):
            return f"COMPARE[{symbol!r}]({self.value(left)}, {self.value(right)})"
        if left.op is Op.CONST and _is_score(right):
            left, right, symbol = right, left, _SWAPPED[symbol]
        if _is_score(left) and right.op is Op.CONST and symbol in _FROM and abs(right.value) < _SCORE_MAX:
            early, strictly = _FROM[symbol]
            least = _least_thousandths(right.value, strictly=strictly)
            return f"({self.local(self.kept(left.value))} {'<' if early else '>='} {least})"
        one, other = self.value(left), self.value(right)
        tests = [f"{source} is not None and " for side, source in ((left, one), (right, other)) if side.nullable]
        return f"({''.join(tests)}{one} {symbol} {other})"

    def moving(self, node: Node) -> str:
        """A comparison that time changes: by an integer boundary where it has the simple form, else by lines."""
        (left, right), symbol = node.args, node.value
        if right.op in (Op.SINCE, Op.UNTIL) and left.op is Op.CONST:
            left, right, symbol = right, left, _SWAPPED[symbol]
        simple = left.op in (Op.SINCE, Op.UNTIL) and right.op is Op.CONST and right.kind is Kind.NUMBER
        if simple and symbol not in ("==", "!="):
            limit = linear.boundary(left.op, symbol, right.value)
            moment, nullable = self.value(left.args[0]), left.args[0].nullable
            since = self.local(f"None if {moment} is None else now - {moment}" if nullable else f"now - {moment}")
            self.boundaries.setdefault((moment, since, nullable), set()).add(limit.offset_ms)
            test = f"{since} {'<' if limit.early else '>='} {limit.offset_ms}"
            if not nullable:
                return f"({test})"
            return f"({since} is None or {test})" if limit.unknown else f"({since} is not None and {test})"
        left, right = node.args
        sides = f"{self.value(left)}, {self.value(right)}"
        self.flips.append(f"next_flip(now, {self.line(left)}, {self.line(right)}, lambda now: ({sides}))")
        return f"compare_moving({node.value!r}, {sides})"

    def line(self, node: Node) -> str:
        """The source of a node as a `Line`."""
        if not node.linear:
            return f"line({self.value(node)})"
        match node.op:
            case Op.SINCE | Op.UNTIL:
                return f"line_{node.op}({self.value(node.args[0])}, now)"
            case Op.NEGATE:
                return f"line_negate({self.line(node.args[0])})"
            case Op.ARITHMETIC:
                return f"line_arithmetic({node.value!r}, {self.line(node.args[0])}, {self.line(node.args[1])})"
            case Op.DEFAULT:
                return f"line_default({self.line(node.args[0])}, {self.line(node.args[1])})"
            case _:
                lines = ", ".join(self.line(arg) for arg in node.args)
                return f"line_extreme({node.value!r}, {lines})"


def _is_threshold(node: Node) -> bool:
    return node.op is Op.TERM and node.value.name == "threshold"


def _is_finite(node: Node) -> bool:
    """Whether a value is known and a finite number whatever the account: no time is too far for a float in days."""
    if node.nullable:
        return False
    if node.op is Op.NEGATE and node.linear:
        return _is_finite(node.args[0])
    return not node.linear or (node.op in (Op.SINCE, Op.UNTIL) and not node.args[0].nullable)


def _is_score(node: Node) -> bool:
    return node.op is Op.TERM and node.value.name == "score"


def _least_thousandths(score: float, *, strictly: bool) -> int:
    """The least number of thousandths that, as the float it is divided to, is >= the score (or > it, if strictly)."""

    def reached(thousandths: int) -> bool:
        return thousandths / 1000 > score if strictly else thousandths / 1000 >= score

    guess = math.ceil(score * 1000)
    around = range(guess - 2, guess + 3)  # more than the product and the quotient can be off together
    return around[bisect_left(around, x=True, key=reached)]


_FROM: Final = {"<": (True, False), "<=": (True, True), ">": (False, True), ">=": (False, False)}
"""For each symbol, whether the numbers below a limit satisfy it, and whether the limit is the first one above."""
_SCORE_MAX: Final = 1 << 30


_NAMESPACE: Final[dict[str, Any]] = {
    "__builtins__": {"min": min, "max": max, "abs": abs, "round": round, "bool": bool},
    "INF": float("inf"),
    "NEVER": linear.NEVER,
    "COMPARE": values.COMPARE,
    "ARITHMETIC": values.ARITHMETIC,
    "MOVING": values.MOVING,
    "compare_moving": values.compare_moving,
    "is_in": values.is_in,
    "not_in": values.not_in,
    "contains": values.contains,
    "starts_with": values.starts_with,
    "time_of": values.time_of,
    "time_text": lambda time_ms: None if time_ms is None else format_ms(time_ms),
    "number": values.number,
    "property_at": values.property_at,
    "next_flip": linear.next_flip,
    "line": lambda value: linear.constant(values.number(value)),
    "line_since": linear.since,
    "line_until": linear.until,
    "line_negate": linear.negate,
    "line_arithmetic": linear.arithmetic,
    "line_extreme": linear.extreme,
    "line_default": linear.default,
}


@dataclass(frozen=True)
class Rule:
    """A segment's rules, parsed. `bit` is its place in the catalog."""

    id: str
    bit: int
    when: Node
    exit_when: Node | None

    def conditions(self) -> tuple[Node, ...]:
        return (self.when,) if self.exit_when is None else (self.when, self.exit_when)


def compile_decide(rules: Sequence[Rule], slots: Slots, bits: dict[str, int]) -> Decide:
    """The function that decides the segments of one stratum."""
    emit = _Emitter(slots, bits)
    body: list[str] = []
    mirrored = 0  # segments that are left as soon as `when` fails
    for rule in rules:
        body.append(f"    if {emit.condition(rule.when)}: when |= {1 << rule.bit}")
        if rule.exit_when is None:
            mirrored |= 1 << rule.bit
        else:
            body.append(f"    if {emit.condition(rule.exit_when)}: exits |= {1 << rule.bit}")
    lines = ["    when = exits = 0", *body, f"    exits |= ~when & {mirrored}", "    next = NEVER"]
    if emit.uses_stage:
        lines.append("    if now < w.trial_ends_at: next = w.trial_ends_at")
    for (moment, since, nullable), offsets in emit.boundaries.items():
        opening = f"if {since} is None: pass\n    elif" if nullable else "if"
        for offset in sorted(offsets):
            lines.append(f"    {opening} {since} < {offset}: next = at if (at := {moment} + {offset}) < next else next")
            opening = "elif"
    lines += [f"    next = min(next, {flip})" for flip in emit.flips]
    lines.append("    return when, exits, next")
    decide: Decide = _build("decide(a, w, now, members)", emit, lines)
    return decide


Where = Callable[[dict[str, Any]], bool]


def compile_where(node: Node) -> Where:
    """The condition of a named event, as a function of an event's properties."""
    emit = _Emitter(Slots.of([]), {})
    condition = emit.condition(node)
    where: Where = _build("where(p)", emit, [f"    return bool({condition})"])
    return where


def compile_evidence(rule: Rule, slots: Slots, bits: dict[str, int]) -> Evidence:
    """The function that returns what a segment's conditions see: text of each reading -> value."""
    emit = _Emitter(slots, bits)
    seen: dict[str, str] = {}
    for node in [*rule.when.walk(), *(rule.exit_when.walk() if rule.exit_when else ())]:
        if node.op is Op.TERM or node.op in (Op.SINCE, Op.UNTIL):
            source = emit.value(node)
            seen.setdefault(node.text, f"time_text({source})" if node.kind is Kind.TIME else source)
    entries = ", ".join(f"{text!r}: {source}" for text, source in seen.items())
    evidence: Evidence = _build("evidence(a, w, now, members)", emit, [f"    return {{{entries}}}"])
    return evidence


def compile_values(nodes: Mapping[str, Node], slots: Slots, bits: dict[str, int]) -> Evidence:
    """The function that computes named expressions: name -> value."""
    emit = _Emitter(slots, bits)
    sources = {
        name: f"time_text({emit.value(node)})" if node.kind is Kind.TIME else emit.value(node)
        for name, node in nodes.items()
    }
    entries = ", ".join(f"{name!r}: {source}" for name, source in sources.items())
    compiled: Evidence = _build("named_values(a, w, now, members)", emit, [f"    return {{{entries}}}"])
    return compiled


Ranked = Callable[["Account", "Working", int, int], tuple[float | None, ...]]


def compile_ranked(nodes: Sequence[Node], slots: Slots, bits: dict[str, int]) -> Ranked:
    """The function that computes what an account is ranked by; unknown and infinite values are None."""
    emit = _Emitter(slots, bits)
    sources = [
        emit.value(node) if _is_finite(node) and node.kind is not Kind.ANY else f"number({emit.value(node)})"
        for node in nodes
    ]
    values = "".join(f"{source}, " for source in sources)
    ranked: Ranked = _build("ranked(a, w, now, members)", emit, [f"    return ({values})"])
    return ranked


def compile_parts(rule: Rule, slots: Slots, bits: dict[str, int]) -> Evidence:
    """The function that tells which parts of a segment's rules hold: the operands of its top-level and/or."""
    emit = _Emitter(slots, bits)
    parts: dict[str, str] = {}
    for node in (rule.when, rule.exit_when):
        if node is not None:
            for part in node.parts():
                parts.setdefault(part.text, f"bool({emit.condition(part)})")
    entries = ", ".join(f"{text!r}: {source}" for text, source in parts.items())
    compiled: Evidence = _build("parts(a, w, now, members)", emit, [f"    return {{{entries}}}"])
    return compiled


_READ_IN_PLACE: Final = re.compile(r"v[0-9]*\[[0-9]+\]|v[0-9]+ / 1000|w\.[a-z_]+")
"""Readings that say the same wherever in the function they stand; of others, one may stand in a lambda."""


def put(source: str, name: str, line: str) -> tuple[str, int]:
    """The line with a source in place of a local, and how often it stands there. Texts in quotes are left alone."""
    uses = 0

    def one(found: re.Match[str]) -> str:
        nonlocal uses
        if found[0] != name:
            return found[0]
        uses += 1
        return source

    return _WORDS_AND_TEXTS.sub(one, line), uses


_WORDS_AND_TEXTS: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b\w+\b""")


def _build(signature: str, emit: _Emitter, body: list[str]) -> Any:
    """The function of this body, behind the locals that it uses."""
    lines = [f"    {name} = {source}" for source, name in emit.prologue.items()] + body
    for source, name in reversed(emit.prologue.items()):
        place = lines.index(f"    {name} = {source}")
        uses = sum(put(name, name, line)[1] for line in lines) - 1
        if uses == 0 or (uses == 1 and _READ_IN_PLACE.fullmatch(source)):
            del lines[place]
            read = f"({source})" if "/" in source else source
            lines = [put(read, name, line)[0] for line in lines]
    values = ["    v = w.values"] if emit.uses_values else []
    function = signature[: signature.index("(")]
    namespace = dict(_NAMESPACE)
    text = "\n".join([f"def {signature}:", *values, *lines])
    exec(compile(text, f"<rules: {function}>", "exec"), namespace)  # noqa: S102 - source made above from checked trees
    return namespace[function]
