"""From a rule's text to a typed tree, or to an error that points at the place.

Theory of operation: Python's own `ast` reads the text; a visitor then accepts only what the whitelist names (every node
type it does not know is refused), checks arity, types and cost, and builds `Node`s. Nothing of the text is ever
evaluated. Definitions are inlined where they are named, so that a program sees plain trees; `without` is spelled out in
terms of `last` and `since`.

Time enters a rule only through since() and until(), which are linear in now. The visitor keeps track of which nodes are
linear and refuses what would not be piecewise linear (a product of two, a quotient by one, rounding), because the next
change of such a rule could not be told exactly.
"""

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.engine.calendar import DAY_MS
from streams.engine.rules.errors import RuleError, nearest
from streams.engine.rules.expression import Kind, Node, Op, Term
from streams.engine.rules.vocabulary import ALL_ACTIVITY, RULE, STAGES, Param, Vocabulary
from streams.limits import RETENTION_DAYS

NODES_MAX: Final = 1_000  # of one rule, definitions inlined
DEPTH_MAX: Final = 40
TEXT_CHARS_MAX: Final = 1_000
DURATION_DAYS_MAX: Final = 3_660
PERCENT_MAX: Final = 99
NUMBER_MAX: Final = 1e15
FACTORS_MAX: Final = 12  # of 1e25 at most, which no count or score exceeds: their product is a number

_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_NUMERIC: Final = (Kind.NUMBER, Kind.ANY)
_TEXTUAL: Final = (Kind.TEXT, Kind.ANY)


@dataclass(frozen=True)
class Scope:
    """What a rule may refer to beside the vocabulary."""

    segments: Collection[str] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)
    measures: Collection[str] = ()
    vocabulary: Vocabulary = RULE


def parse_condition(text: str, scope: Scope) -> Node:
    """A rule that decides: true or false.

    Raises:
        RuleError: the text is no such rule.
    """
    parser = _Parser(text, scope)
    return parser.truth(parser.parse())


def parse_value(text: str, scope: Scope) -> Node:
    """An expression of any type, as a definition is.

    Raises:
        RuleError: the text is no such expression.
    """
    return _Parser(text, scope).parse()


def _parts_of(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions right below a node."""
    for below in ast.iter_child_nodes(node):
        if isinstance(below, ast.expr):
            yield below
        elif isinstance(below, ast.keyword):
            yield below.value


def _may_overflow(symbol: str, left: Node, right: Node) -> bool:
    """Whether a result may leave the range of numbers, which makes it unknown.

    Constants, counts and scores are bounded, so a few of them cannot; but a producer's number, made certain by
    default(), may be as large as numbers are.
    """
    if symbol == "/" and right.op is Op.CONST and abs(right.value) < 1 / NUMBER_MAX:
        return True
    nodes = [*left.walk(), *right.walk()]
    return sum(not node.args for node in nodes) > FACTORS_MAX or any(node.op is Op.DEFAULT for node in nodes)


class _Parser:
    """One parse of one text. `_open` holds the definitions being inlined, to find cycles; `_count` the nodes so far."""

    def __init__(self, text: str, scope: Scope, opened: tuple[str, ...] = (), count: int = 0) -> None:
        self._text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._scope = scope
        self._words = scope.vocabulary
        self._open = opened
        self._depth = 0
        self.count = count

    def parse(self) -> Node:
        # In parentheses a rule may run over several lines; the first line's columns are then off by one.
        try:
            tree = ast.parse(f"({self._text}\n)", mode="eval")
        except SyntaxError as error:
            line, column = error.lineno or 1, (error.offset or 1) - (error.lineno == 1)
            lines = self._text.split("\n")
            if line > len(lines):  # at the parenthesis put behind it
                line, column = len(lines), len(lines[-1]) + 1
            raise RuleError(f"this is not an expression: {error.msg}", line, max(column, 1)) from None
        except (ValueError, RecursionError, MemoryError):
            raise RuleError("this cannot be read: null bytes, or nested too deeply") from None
        self._check_depth(tree.body)
        return self._visit(self._within_parentheses(tree.body))

    def _within_parentheses(self, body: ast.expr) -> ast.expr:
        """The rule, if the parentheses put around it are what holds it together: not so with `a) or (b`."""
        if isinstance(body, ast.Tuple) and not body.elts:
            raise RuleError("the rule is empty")
        if (body.lineno, body.col_offset) == (1, 0) and not isinstance(body, ast.Tuple | ast.GeneratorExp):
            raise RuleError("this is not an expression: unmatched ')'", 1, max(self._text.find(")") + 1, 1))
        return body

    def _check_depth(self, body: ast.expr) -> None:
        """Refuse what is nested too deeply without descending: from here on recursion is safe."""
        level: list[ast.AST] = [body]
        for _ in range(DEPTH_MAX):
            level = [below for node in level for below in _parts_of(node)]
            if not level:
                return
        raise self._too_costly(level[0])

    def _too_costly(self, at: ast.AST) -> RuleError:
        return self._error(at, f"the rule is too costly: at most {NODES_MAX} parts, nested {DEPTH_MAX} deep")

    def truth(self, node: Node) -> Node:
        """The node as a condition: numbers and values by their truth, times and linear values refused."""
        if node.linear:
            raise RuleError(f"{node.text} changes all the time: compare it with a number")
        if node.kind in (Kind.TIME, Kind.NONE):
            raise RuleError(f"{node.text} is a {node.kind}, not a condition: use known(...), or compare it")
        return node

    def _error(self, at: ast.AST, message: str) -> RuleError:
        line, offset = getattr(at, "lineno", 1), getattr(at, "col_offset", 0)
        # Offsets count bytes, columns count characters; the first line begins with a parenthesis of ours.
        written = f"({self._text}".split("\n")[line - 1].encode()[:offset].decode()
        return RuleError(message, line, max(len(written) + (line > 1), 1))

    def _source(self, at: ast.AST) -> str:
        return ast.unparse(at)

    def _visit(self, at: ast.expr) -> Node:
        self.count += 1
        self._depth += 1
        if self.count > NODES_MAX or self._depth > DEPTH_MAX:
            raise self._too_costly(at)
        visit: Callable[[ast.expr], Node] | None = getattr(self, f"_visit_{type(at).__name__.lower()}", None)
        if visit is None:
            raise self._error(
                at,
                f"{type(at).__name__} is not allowed: use comparisons, and, or, not, in, + - * / and the vocabulary",
            )
        node = visit(at)
        self._depth -= 1
        return node

    # Leaves

    def _visit_constant(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.Constant)
        value, text = at.value, self._source(at)
        match value:
            case bool():
                return Node(Op.CONST, Kind.BOOL, text, value=value)
            case int() | float():
                if not abs(value) <= NUMBER_MAX:
                    raise self._error(at, f"the number is out of range: at most {NUMBER_MAX:g}")
                return Node(Op.CONST, Kind.NUMBER, text, value=value)
            case str():
                if len(value) > TEXT_CHARS_MAX:
                    raise self._error(at, f"the text is too long: at most {TEXT_CHARS_MAX} characters")
                return Node(Op.CONST, Kind.TEXT, text, value=value)
            case None:
                return Node(Op.CONST, Kind.NONE, text, nullable=True)
            case _:
                raise self._error(
                    at, f"{text} is not a value that a rule knows: use numbers, texts, True, False or None"
                )

    def _visit_name(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.Name)
        name = at.id
        if name in self._words.names:
            kind, nullable = self._words.names[name]
            return Node(Op.TERM, kind, name, value=Term(name), nullable=nullable)
        if name in self._scope.definitions:
            return self._inline(at, name)
        if name in self._words.terms or name in self._words.functions:
            raise self._error(at, f"{name} is a function: write {name}(...)")
        raise self._error(
            at, f"the name {name!r} is not known{nearest(name, (*self._words.words, *self._scope.definitions))}"
        )

    def _inline(self, at: ast.expr, name: str) -> Node:
        if name in self._open:
            raise self._error(at, f"the definition {name!r} refers to itself: {' -> '.join((*self._open, name))}")
        inner = _Parser(self._scope.definitions[name], self._scope, (*self._open, name), self.count)
        inner._depth = self._depth
        try:
            node = inner.parse()
        except RuleError as error:
            if self._open or "definition" in error.message:
                raise
            raise self._error(at, f"in the definition {name!r}: {error.message}") from None
        self.count = inner.count
        return node

    # Operators

    def _visit_boolop(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.BoolOp)
        op = Op.AND if isinstance(at.op, ast.And) else Op.OR
        return Node(op, Kind.BOOL, self._source(at), tuple(self._condition(value) for value in at.values))

    def _condition(self, at: ast.expr) -> Node:
        node = self._visit(at)
        try:
            return self.truth(node)
        except RuleError as error:
            raise self._error(at, error.message) from None

    def _visit_unaryop(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.UnaryOp)
        if isinstance(at.op, ast.Not):
            return Node(Op.NOT, Kind.BOOL, self._source(at), (self._condition(at.operand),))
        if isinstance(at.op, ast.USub):
            operand = self._number(at.operand)
            if operand.op is Op.CONST:
                return Node(Op.CONST, Kind.NUMBER, self._source(at), value=-operand.value)
            return Node(
                Op.NEGATE, Kind.NUMBER, self._source(at), (operand,), None,
                operand.nullable or operand.kind is Kind.ANY, operand.linear,
            )  # fmt: skip
        raise self._error(at, "only `not` and `-` may stand before a value")

    def _number(self, at: ast.expr) -> Node:
        node = self._visit(at)
        if node.kind not in _NUMERIC:
            hint = ": use since(...) or until(...)" if node.kind is Kind.TIME else ""
            raise self._error(at, f"a number is needed here, but {node.text} is {node.kind}{hint}")
        return node

    def _visit_binop(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.BinOp)
        symbol = _ARITHMETIC.get(type(at.op))
        if symbol is None:
            raise self._error(at, "of arithmetic, + - * / are allowed")
        left, right = self._number(at.left), self._number(at.right)
        if symbol == "*" and left.linear and right.linear:
            raise self._error(
                at, "a product of two values that change with time is not linear in time: its next change is unknown"
            )
        if symbol == "/" and right.linear:
            raise self._error(
                at, "a quotient by a value that changes with time is not linear in time: its next change is unknown"
            )
        nullable = left.nullable or right.nullable or Kind.ANY in (left.kind, right.kind)
        # Division by zero is unknown; a constant divisor that is not zero cannot be.
        nullable = nullable or (symbol == "/" and not (right.op is Op.CONST and right.value))
        nullable = nullable or _may_overflow(symbol, left, right)
        return Node(
            Op.ARITHMETIC, Kind.NUMBER, self._source(at), (left, right), symbol, nullable, left.linear or right.linear
        )

    def _visit_compare(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.Compare)
        sides = [at.left, *at.comparators]
        pairs = [self._compare(at, op, left, right) for op, left, right in zip(at.ops, sides, sides[1:], strict=False)]
        return pairs[0] if len(pairs) == 1 else Node(Op.AND, Kind.BOOL, self._source(at), tuple(pairs))

    def _compare(self, at: ast.Compare, op: ast.cmpop, left_at: ast.expr, right_at: ast.expr) -> Node:
        text = self._source(at) if len(at.ops) == 1 else self._source(ast.Compare(left_at, [op], [right_at]))
        if isinstance(op, ast.In | ast.NotIn):
            return self._membership(text, left_at, right_at, negated=isinstance(op, ast.NotIn))
        symbol = _COMPARISONS.get(type(op))
        if symbol is None:
            raise self._error(at, "`is` is not allowed: use == None or != None")
        left, right = self._visit(left_at), self._visit(right_at)
        if Kind.NONE in (left.kind, right.kind):
            if symbol not in ("==", "!="):
                raise self._error(at, "None can only be compared by == and !=")
            value = left if right.kind is Kind.NONE else right
            return Node(Op.IS_NONE, Kind.BOOL, text, (value,), symbol)
        self._check_comparable(at, left, right, symbol)
        return Node(Op.COMPARE, Kind.BOOL, text, (left, right), symbol)

    def _check_comparable(self, at: ast.Compare, left: Node, right: Node, symbol: str) -> None:
        kinds = {left.kind, right.kind}
        if Kind.TIME in kinds and kinds != {Kind.TIME}:
            written = f"{left.text} {symbol} {right.text}"
            raise self._error(at, f"{written} compares a time with something else: use since(), until() or time()")
        if kinds == {Kind.BOOL} and symbol not in ("==", "!="):
            raise self._error(at, "true and false can only be compared by == and !=")
        if Kind.ANY not in kinds and len(kinds) > 1:
            raise self._error(at, f"{left.text} is {left.kind} and {right.text} is {right.kind}: this can never hold")
        for one, other in ((left, right), (right, left)):
            self._check_stage(at, one, other)

    def _check_stage(self, at: ast.AST, one: Node, other: Node) -> None:
        is_stage = one.op is Op.TERM and one.value.name == "stage"
        if is_stage and other.op is Op.CONST and other.value not in STAGES:
            raise self._error(at, f"{other.text} is no stage: {', '.join(STAGES)}{nearest(str(other.value), STAGES)}")

    def _membership(self, text: str, left_at: ast.expr, right_at: ast.expr, *, negated: bool) -> Node:
        left = self._visit(left_at)
        if left.linear or left.kind is Kind.TIME:
            raise self._error(left_at, f"{left.text} changes with time and cannot be looked up in a tuple")
        if not isinstance(right_at, ast.Tuple | ast.List) or not right_at.elts:
            raise self._error(right_at, 'after `in` stands a tuple of constants, for example ("trial", "customer")')
        items = tuple(self._visit(item) for item in right_at.elts)
        for item, item_at in zip(items, right_at.elts, strict=True):
            if item.op is not Op.CONST or item.kind is Kind.NONE:
                raise self._error(item_at, "a tuple holds constants: numbers, texts, True or False")
            self._check_stage(item_at, left, item)
        return Node(Op.IN, Kind.BOOL, text, (left, *items), negated)

    # Calls

    def _visit_call(self, at: ast.expr) -> Node:
        assert isinstance(at, ast.Call)
        if not isinstance(at.func, ast.Name):
            raise self._error(at, "only functions of the rule vocabulary can be called")
        name = at.func.id
        if name in self._words.terms:
            return self._term(at, name)
        if name in self._words.functions:
            call: Callable[[ast.Call, str], Node] = getattr(self, f"_call_{name}")
            return call(at, name)
        if name in self._words.names or name in self._scope.definitions:
            raise self._error(at, f"{name} is a value, not a function: write it without parentheses")
        raise self._error(at, f"the function {name!r} is not known{nearest(name, self._words.words)}")

    def _positional(self, at: ast.Call, name: str, count: int) -> list[ast.expr]:
        if len(at.args) != count or at.keywords or any(isinstance(arg, ast.Starred) for arg in at.args):
            raise self._error(at, f"{name}() takes {count} value{'s' if count > 1 else ''} and nothing else")
        return at.args

    def _term(self, at: ast.Call, name: str) -> Node:
        signature = self._words.terms[name]
        allowed = {key for key, _, _ in signature.keywords}
        if len(at.args) != len(signature.positional) or any(isinstance(arg, ast.Starred) for arg in at.args):
            what = " and ".join(signature.positional) or "no value without a name"
            raise self._error(at, f"{name}() takes {what}{''.join(f', {key}=' for key in sorted(allowed))}")
        for keyword in at.keywords:
            if keyword.arg not in allowed:
                options = f"allowed: {', '.join(sorted(allowed)) or 'none'}"
                unknown = "**" if keyword.arg is None else f"{keyword.arg}="
                raise self._error(
                    at, f"{name}() does not take {unknown}; {options}{nearest(keyword.arg or '', allowed)}"
                )
        given = {keyword.arg: keyword.value for keyword in at.keywords}
        texts = [self._text_argument(arg, kind) for arg, kind in zip(at.args, signature.positional, strict=True)]
        numbers = {"days": 0, "before": 0, "within_days": 0.0}
        for key, kind, required in signature.keywords:
            if key in given:
                numbers[key] = self._number_argument(given[key], key, kind)
            elif required:
                raise self._error(at, f"{name}() needs {key}=")
        days, before = int(numbers["days"]), int(numbers["before"])
        if days + before > RETENTION_DAYS:
            raise self._error(at, f"the window reaches {days + before} days back; {RETENTION_DAYS} days are kept")
        if before and not days:
            raise self._error(at, "before= needs days=")
        if name != "count" and ALL_ACTIVITY in texts and signature.positional[0] is Param.EVENT:
            raise self._error(at, f'"*" can only stand in count(); {name}() needs {Param.EVENT}')
        event, other = [*texts, "", ""][:2]
        within_ms = round(numbers["within_days"] * DAY_MS)
        term = Term(name, event, other, days=days, before=before, within_ms=within_ms)
        return Node(Op.TERM, signature.returns, self._source(at), value=term, nullable=signature.nullable)

    def _text_argument(self, at: ast.expr, kind: Param) -> str:
        if not (isinstance(at, ast.Constant) and isinstance(at.value, str) and at.value):
            raise self._error(at, f"{kind} is needed here")
        if kind is Param.SEGMENT and at.value not in self._scope.segments:
            raise self._error(at, f"there is no segment {at.value!r}{nearest(at.value, self._scope.segments)}")
        if kind is Param.MEASURE and at.value not in self._scope.measures:
            raise self._error(at, f"there is no measure {at.value!r}{nearest(at.value, self._scope.measures)}")
        return at.value

    def _number_argument(self, at: ast.expr, key: str, kind: Param) -> float:
        value = at.value if isinstance(at, ast.Constant) else None
        if kind is Param.DAYS:
            low = 1 if key == "days" else 0
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= RETENTION_DAYS:
                raise self._error(at, f"{key}= is a whole number from {low} to {RETENTION_DAYS}")
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= DURATION_DAYS_MAX:
            raise self._error(at, f"{key}= is a number of days from 0 to {DURATION_DAYS_MAX}")
        return value

    def _time(self, at: ast.expr) -> Node:
        node = self._visit(at)
        if node.kind is not Kind.TIME:
            hint = f": write time({node.text})" if node.kind in _TEXTUAL else ""
            raise self._error(at, f"{Param.TIME} is needed here, but {node.text} is {node.kind}{hint}")
        return node

    def _call_since(self, at: ast.Call, name: str) -> Node:
        (arg,) = self._positional(at, name, 1)
        return Node(Op(name), Kind.NUMBER, self._source(at), (self._time(arg),), linear=True)

    _call_until = _call_since

    def _call_known(self, at: ast.Call, name: str) -> Node:
        (arg,) = self._positional(at, name, 1)
        return Node(Op.KNOWN, Kind.BOOL, self._source(at), (self._visit(arg),))

    def _call_default(self, at: ast.Call, name: str) -> Node:
        first, second = (self._visit(arg) for arg in self._positional(at, name, 2))
        kind = first.kind if first.kind is second.kind else Kind.ANY
        if Kind.TIME in (first.kind, second.kind) and kind is Kind.ANY:
            raise self._error(at, "default() of a time needs a time as its second value")
        return Node(
            Op.DEFAULT, kind, self._source(at), (first, second),
            nullable=second.nullable, linear=first.linear or second.linear,
        )  # fmt: skip

    def _textual(self, at: ast.expr) -> Node:
        node = self._visit(at)
        if node.kind not in _TEXTUAL:
            raise self._error(at, f"a text is needed here, but {node.text} is {node.kind}")
        return node

    def _call_contains(self, at: ast.Call, name: str) -> Node:
        return Node(
            Op(name), Kind.BOOL, self._source(at), tuple(self._textual(arg) for arg in self._positional(at, name, 2))
        )

    _call_starts_with = _call_contains

    def _call_time(self, at: ast.Call, name: str) -> Node:
        (arg,) = self._positional(at, name, 1)
        return Node(Op.TIME_OF, Kind.TIME, self._source(at), (self._textual(arg),), nullable=True)

    def _call_without(self, at: ast.Call, name: str) -> Node:
        given = {keyword.arg: keyword.value for keyword in at.keywords}
        if len(at.args) != 2 or set(given) != {"within_days"}:
            raise self._error(at, f"{name}() takes two event names and within_days=")
        first, second = (ast.unparse(arg) for arg in at.args if self._text_argument(arg, Param.EVENT))
        days = self._number_argument(given["within_days"], "within_days", Param.DURATION)
        spelled = f"known(last({first})) and since(last({first})) >= {days!r} and not last({second}) >= last({first})"
        tree = ast.parse(spelled, mode="eval").body
        for node in ast.walk(tree):
            ast.copy_location(node, at)
        return self._visit(tree)

    def _extreme(self, at: ast.Call, name: str) -> Node:
        if len(at.args) < 2 or at.keywords:
            raise self._error(at, f"{name}() takes two or more numbers")
        args = tuple(self._number(arg) for arg in at.args)
        nullable = any(arg.nullable or arg.kind is Kind.ANY for arg in args)
        return Node(Op.CALL, Kind.NUMBER, self._source(at), args, name, nullable, any(arg.linear for arg in args))

    _call_min = _call_max = _extreme

    def _call_abs(self, at: ast.Call, name: str) -> Node:
        arg = self._number(self._positional(at, name, 1)[0])
        nullable = arg.nullable or arg.kind is Kind.ANY
        return Node(Op.CALL, Kind.NUMBER, self._source(at), (arg,), name, nullable, arg.linear)

    def _call_round(self, at: ast.Call, name: str) -> Node:
        if not 1 <= len(at.args) <= 2 or at.keywords:
            raise self._error(at, "round() takes a number, and optionally how many digits")
        arg = self._number(at.args[0])
        digits_at = at.args[1] if len(at.args) == 2 else ast.Constant(0)
        digits = digits_at.value if isinstance(digits_at, ast.Constant) else None
        if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 15:
            raise self._error(at, "the digits of round() are a whole number from 0 to 15")
        if arg.linear:
            raise self._error(at, f"round({arg.text}) is not linear in time: its next change is unknown")
        places = () if len(at.args) == 1 else (Node(Op.CONST, Kind.NUMBER, str(digits), value=digits),)
        nullable = arg.nullable or arg.kind is Kind.ANY
        return Node(Op.CALL, Kind.NUMBER, self._source(at), (arg, *places), name, nullable)

    # The population

    def _ranked(self, at: ast.expr) -> tuple[str, Node]:
        """A definition by which accounts are ranked: its name and its value."""
        name = at.value if isinstance(at, ast.Constant) and isinstance(at.value, str) else None
        if name not in self._scope.definitions:
            hint = nearest(name, self._scope.definitions) if name else ""
            raise self._error(at, f"{Param.DEFINITION} is needed here: accounts are ranked by definitions{hint}")
        assert name is not None
        node = self._inline(at, name)
        if node.kind not in _NUMERIC:
            raise self._error(at, f"accounts are ranked by a number, but the definition {name!r} is {node.kind}")
        if any(term.name in ("threshold", "member") for term in node.terms()):
            raise self._error(at, f"the definition {name!r} asks for ranks or members itself: it cannot be ranked by")
        return name, node

    def _reaches(self, name: str, value: Node, percent: int) -> Node:
        """Whether the value is at or above a percentile of all accounts."""
        term = Term("threshold", name, percent=percent)
        threshold = Node(Op.TERM, Kind.NUMBER, f"percentile {percent} of {name}", value=term, nullable=True)
        return Node(Op.COMPARE, Kind.BOOL, f"{name} >= {threshold.text}", (value, threshold), ">=")

    def _call_top_percent(self, at: ast.Call, _name: str) -> Node:
        measure_at, percent_at = self._positional(at, "top_percent", 2)
        percent = percent_at.value if isinstance(percent_at, ast.Constant) else None
        if isinstance(percent, bool) or not isinstance(percent, int) or not 1 <= percent <= PERCENT_MAX:
            raise self._error(percent_at, f"{Param.PERCENT} from 1 to {PERCENT_MAX} is needed here")
        name, value = self._ranked(measure_at)
        node = self._reaches(name, value, 100 - percent)
        return Node(node.op, node.kind, self._source(at), node.args, node.value)

    def _call_quintile(self, at: ast.Call, name: str) -> Node:
        measure, value = self._ranked(self._positional(at, name, 1)[0])
        reached = tuple(self._reaches(measure, value, percent) for percent in (20, 40, 60, 80))
        return Node(Op.QUINTILE, Kind.NUMBER, self._source(at), (value, *reached))
