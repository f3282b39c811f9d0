import ast
import math
import operator
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.account import Account, EventSeries, account_of
from streams.engine.calendar import DAY_MS
from streams.engine.program import Program
from streams.engine.rules.linear import NEVER
from streams.engine.rules.parse import Scope, parse_condition, parse_value
from streams.engine.rules.slots import Edges, Slots
from streams.engine.rules.view import View
from streams.engine.working import Working
from streams.limits import RETENTION_DAYS
from tests.unit.engine.building import DAY, GRACE, START, Log, program_of

NOW: Final = START


def decided(program: Program, account: Account, now: int = NOW) -> tuple[int, int, int]:
    working = Working(program, account)
    return program.strata[0].judge.judge(View(account, working, now, working.members))


def holds(rule: str, account: Account, now: int = NOW) -> bool:
    return decided(program_of(rule), account, now)[0] == 1


def valued(text: str, account: Account, now: int = NOW) -> Any:
    program = program_of("True", definitions={"x": text})
    return program.definitions(account, Working(program, account), now, 0)["x"]


# --- a compiled rule means what an interpreter of its text makes of it ---

Readings = dict[str, Any]
COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {"min": min, "max": max, "abs": abs, "round": round}


def is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 1.7976931348623157e308


def calculated(compute: Callable[..., Any], *args: Any) -> Any:
    if not all(map(is_number, args)):
        return None
    try:
        result = compute(*args)
    except (OverflowError, ZeroDivisionError):
        return None
    return result if is_number(result) else None


def compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    kinds = [bool if isinstance(v, bool) else float if is_number(v) else type(v) for v in (left, right)]
    if kinds[0] is not kinds[1] or kinds[0] not in (float, str, bool):
        return False
    if kinds[0] is bool and not isinstance(op, ast.Eq | ast.NotEq):
        return False
    return bool(COMPARE[type(op)](left, right))


def interpreted(node: ast.expr, readings: Readings) -> Any:
    """What a rule without time says; `readings` holds every term by its text."""
    written = ast.unparse(node)
    if written in readings:
        return readings[written]
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BoolOp(op=op, values=values):
            found = [bool(interpreted(value, readings)) for value in values]
            return all(found) if isinstance(op, ast.And) else any(found)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not interpreted(operand, readings)
        case ast.UnaryOp(operand=operand):
            return calculated(operator.neg, interpreted(operand, readings))
        case ast.BinOp(left=left, op=op, right=right):
            return calculated(ARITHMETIC[type(op)], interpreted(left, readings), interpreted(right, readings))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return interpreted_comparison(op, left, right, readings)
        case ast.Call(func=ast.Name(id="known"), args=[value]):
            return interpreted(value, readings) is not None
        case ast.Call(func=ast.Name(id="default"), args=[value, other]):
            found = interpreted(value, readings)
            return interpreted(other, readings) if found is None else found
        case ast.Call(func=ast.Name(id=name), args=args):
            return calculated(FUNCTIONS[name], *(interpreted(arg, readings) for arg in args))
    raise AssertionError(written)


def interpreted_comparison(op: ast.cmpop, left: ast.expr, right: ast.expr, readings: Readings) -> bool:
    one = interpreted(left, readings)
    if isinstance(op, ast.In):
        assert isinstance(right, ast.Tuple)
        return any(compared(ast.Eq(), one, interpreted(item, readings)) for item in right.elts)
    if isinstance(right, ast.Constant) and right.value is None:
        return (one is None) is isinstance(op, ast.Eq)
    return compared(op, one, interpreted(right, readings))


numeric_terms = st.sampled_from(["mrr", "seats", "nps", "trait('n')", "count('a')", "count('b')", "activation_rate"])
large = st.sampled_from(["1000000000000000", "1e15", "-999999999999999.9", "1e-300"])
constants = st.sampled_from(["0", "1", "-2", "2.5", "0.1", "10"])
symbols = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])

others = st.sampled_from(["plan", "3", "trait('m')", "mrr"])
texts = st.sampled_from(["'team'", "trait('n')", "default(plan, 'b')"])
unsure = st.sampled_from(["mrr", "plan", "nps", "trait('n')", "stage"])


@st.composite
def numbers(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0:
        return draw(numeric_terms | constants | large)
    inner = numbers(depth - 1)
    kind = draw(st.sampled_from(["leaf", "leaf", "binary", "binary", "times", "negate", "call", "default", "round"]))
    match kind:
        case "leaf":
            return draw(numeric_terms | constants)
        case "binary":
            return f"({draw(inner)} {draw(st.sampled_from('+-*/'))} {draw(inner)})"
        case "times":
            factor = draw(numeric_terms | large)
            return "(" + " * ".join([factor] * draw(st.sampled_from([2, 5, 22, 25]))) + ")"
        case "negate":
            return f"(-{draw(inner)})"
        case "call":
            return f"{draw(st.sampled_from(['min', 'max']))}({draw(inner)}, {draw(inner)})"
        case "default":
            return f"default({draw(inner)}, {draw(inner)})"
        case _:
            return draw(st.sampled_from(["round({})", "abs({})", "round({}, 2)"])).format(draw(inner))


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    inner = conditions(depth - 1) if depth else st.just("activated")
    kind = draw(
        st.sampled_from(["compare", "compare", "compare", "any", "text", "none", "in", "known", "logic", "bare"])
    )
    match kind:
        case "compare":
            return f"({draw(numbers())} {draw(symbols)} {draw(numbers())})"
        case "any":
            return f"(trait('n') {draw(symbols)} {draw(others)})"
        case "text":
            return f"(plan {draw(symbols)} {draw(texts)})"
        case "none":
            return f"({draw(unsure)} == None)"
        case "in":
            return f"({draw(numbers(1))} in ({draw(constants)}, {draw(constants)}))"
        case "known":
            return f"known({draw(numbers(1))})"
        case "logic":
            return f"({draw(inner)} {draw(st.sampled_from(['and', 'or']))} not {draw(inner)})"
        case _:
            return draw(numeric_terms | st.sampled_from(["plan", "activated", "stage == 'trial'"]))


trait_numbers = st.none() | st.sampled_from([0, 1, -3, 2.5, 1.7e308, -1.7e308, 2**63, 5e-324, "team", True, [1]])


@settings(deadline=None, max_examples=400)
@given(conditions(), st.fixed_dictionaries(dict.fromkeys(("mrr", "seats", "n", "m", "plan"), trait_numbers)), st.data())
def test_a_compiled_rule_is_what_its_text_says(rule: str, traits: dict[str, Any], data: st.DataObject) -> None:
    counts = {name: data.draw(st.sampled_from([0, 1, 7, 10**9])) for name in "ab"}
    answer = data.draw(st.none() | st.sampled_from([0, 7, 8.5]))
    account = account_of(
        first_seen=NOW,
        traits={key: (0, value) for key, value in traits.items()},
        events={name: EventSeries(count, NOW, NOW) for name, count in counts.items()},
        nps={} if answer is None else {"u": (NOW, answer)},
    )
    readings = {f"trait('{key}')": value for key, value in traits.items()}
    readings |= {f"count('{name}')": count for name, count in counts.items()}
    readings |= {key: traits[key] if is_number(traits[key]) else None for key in ("mrr", "seats")}
    readings |= {"plan": traits["plan"] if isinstance(traits["plan"], str) else None}
    readings |= {"nps": None if answer is None else float(answer)}  # a mean
    readings |= {"stage": "trial", "activated": False, "activation_rate": 0}
    assert holds(rule, account) == bool(interpreted(ast.parse(rule, mode="eval").body, readings))


@pytest.mark.parametrize(
    "rule",
    [
        "round(default(mrr, 0) * 12) > 5",
        "default(mrr, 0) * 12 > 5",
        "abs(default(mrr, 0) + default(mrr, 0)) > 5",
        " * ".join(["1000000000000000"] * 30) + " / 3 > 1",
        " * ".join(["1e15"] * 30) + " > 1",
        "count('a') / 1e-300 / 1e-300 > 1",
        "1e15 / 1e-300 > 1",
    ],
)
def test_a_result_beyond_all_numbers_is_unknown_and_stops_nobody(rule: str) -> None:
    """Whoever sends a number can send the largest one."""
    events = {"a": EventSeries(5, NOW, NOW)}
    assert not holds(rule, account_of(first_seen=NOW, traits={"mrr": (0, 1.7e308)}, events=events))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("rule", "result"),
    [
        ("known(3)", True),
        ("known(None)", False),
        ("known('a') and known(True)", True),
        ("3 == None", False),
        ("'a' != None", True),
        ("None == None", True),
        ("known(stage)", True),
        ("known(count('a') + 1)", True),
        ("known(since(converted_at))", True),
        ("known(since(converted_at) - since(converted_at))", False),
        ("default(since(converted_at) - since(converted_at), 5) == 5", True),
        ("3 < 4 < 5", True),
        ("not not 'a'", True),
    ],
)
def test_constants_are_known_without_a_warning(rule: str, *, result: bool) -> None:
    assert holds(rule, account_of(first_seen=NOW)) is result


# --- time ---


@pytest.mark.parametrize(
    ("rule", "flips_at"),
    [
        ("since(signed_up_at) < 4", NOW + 4 * DAY_MS),
        ("since(signed_up_at) <= 4", NOW + 4 * DAY_MS + 1),
        ("since(signed_up_at) > 60", NOW + 60 * DAY_MS + 1),
        ("4 > since(signed_up_at)", NOW + 4 * DAY_MS),
        ("since(signed_up_at) == 4", NOW + 4 * DAY_MS),
        ("since(signed_up_at) != 4", NOW + 4 * DAY_MS),
        ("until(trial_ends_at) <= 3", NOW + 11 * DAY_MS),
        ("stage == 'trial'", NOW + 14 * DAY_MS),
        ("2 * since(signed_up_at) >= until(trial_ends_at)", NOW + 14 * DAY_MS // 3),
        ("since(converted_at) > 3", NEVER),
        ("since(signed_up_at) < since(trial_ends_at)", NEVER),
        ("default(converted_at, signed_up_at) == None", NEVER),
        ("since(default(converted_at, signed_up_at)) >= 1", NOW + DAY_MS),
        ("since(time(trait('when'))) > 0", NOW + DAY_MS + 1),
        ("mrr > 3", NEVER),
    ],
)
def test_the_next_flip_is_known_to_the_millisecond(rule: str, flips_at: int) -> None:
    account = account_of(first_seen=NOW, traits={"when": (0, "2026-03-03T12:00:00Z")})
    before, _, found = decided(program_of(rule), account)
    assert found == flips_at
    if flips_at < NEVER:
        assert decided(program_of(rule), account, flips_at)[0] != before or "==" in rule or "!=" in rule
        assert decided(program_of(rule), account, flips_at - 1)[0] == before


def test_since_an_unknown_time_is_infinite_and_known() -> None:
    account = account_of(first_seen=NOW)
    assert holds("since(converted_at) > 1e15 and until(converted_at) > 1e15", account)
    assert holds("since(converted_at) == until(cancelled_at) and known(since(converted_at))", account)
    assert not holds("since(converted_at) - since(cancelled_at) == 0", account)
    assert holds("min(since(converted_at), 3) == 3", account)


# --- what is read ---


def test_slots_hold_what_rules_read_and_nothing_else() -> None:
    scope = Scope(segments=("s",))
    rules = ['count("a", days=7) > count("b") and count("*", days=2) > 1', "active_users(days=30) > teams(days=7)"]
    slots = Slots.of([parse_condition(rule, scope) for rule in rules] + [parse_value("core_features(days=28)", scope)])
    assert slots.events == ("a",)
    assert slots.plan.windows == [(), ((2, 0),), (), ((7, 0),)]
    assert slots.plan.lengths == [(30,), (7,), (28,)]
    assert slots.reach == 30
    assert slots.edges == 1 << 7 | 1 << 2 | 1 << 30 | 1 << 28


@given(edges=st.sets(st.integers(1, RETENTION_DAYS)), days=st.sets(st.integers(0, RETENTION_DAYS - 1)))
def test_the_next_edge_is_that_of_the_first_day_to_come_to_one(edges: set[int], days: set[int]) -> None:
    ahead = [edge - day for edge in edges for day in days if day < edge]
    found = Edges(sum(1 << edge for edge in edges)).ahead(sum(1 << day for day in days))
    assert found == min(ahead, default=0)


def test_a_shifted_window_has_two_edges() -> None:
    slots = Slots.of([parse_condition("score(days=7, before=14) > 1", Scope())])
    assert slots.edges == 1 << 14 | 1 << 21


@pytest.mark.parametrize("text", ["'); import os; ('", '"', "\\", "{x}", "\n", "__import__('os')", "'''", "a\0b"])
def test_no_text_gets_out_of_its_quotes(text: str) -> None:
    account = account_of(first_seen=NOW, traits={"plan": (0, text), text: (0, 1)}, events={text: EventSeries(1, 0, 0)})
    rule = f"plan == {text!r} and trait({text!r}) == 1 and count({text!r}) == 1 and known(last({text!r}))"
    assert holds(rule, account)
    assert valued(f"plan == {text!r}", account) is True


def test_definitions_have_values_and_times_are_written() -> None:
    account = account_of(first_seen=NOW, traits={"mrr": (0, 3)})
    assert valued("mrr * 2", account) == 6
    assert valued("signed_up_at", account) == "2026-03-02T12:00:00.000Z"
    assert valued("converted_at", account) is None
    assert valued("since(signed_up_at)", account, NOW + DAY_MS) == 1.0
    assert valued("since(converted_at)", account) == math.inf
    assert valued("mrr > 2 and stage", account) is True
    assert valued("trait('mrr')", account) == 3


def test_members_are_those_of_this_very_pass() -> None:
    log = Log(program_of({"id": "later", "when": 'member("first")'}, {"id": "first", "when": 'count("a") == 1'}))
    log.track("a", START)
    log.track("a", START + GRACE)
    assert [(segment, direction) for segment, direction, _ in log.story()] == [
        ("later", "entered"), ("first", "entered"), ("later", "exited"), ("first", "exited"),
    ]  # fmt: skip
    assert {at for _, _, at in log.story()} == {START, START + GRACE}
    assert log.account().next_at == NEVER
    log.until(START + 100 * DAY)
