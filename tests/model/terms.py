"""What a rule says of an account at a moment: the syntax tree, evaluated node by node.

Readings of the contract:

* ``None`` is unknown. A number that is not one (inf - inf) is unknown.
* ``x in (a, b)`` is ``x == a or x == b``, ``x not in (a, b)`` is ``x != a and x != b``, and each of these is false of
  an unknown or of text with number. So is any comparison of a boolean with a number.
* ``min`` and ``max`` are arithmetic: with one unknown argument they are unknown.
* ``contains`` and ``starts_with`` of anything but text are false. A list contains a text that equals one of its
  elements.
* A bare number or text as a condition is as true as Python has it; a bare unknown is false.
* ``until`` of an unknown time is ``inf`` as well.
* The weight of a record is that of the first named event it fits that has one (in catalog order), else of its own name.
* A record is a signal if any name it counts under is one.
* Percentiles are handed in as 101 numbers, from the 0th to the 100th; ``top_percent(m, p)`` is m >= the (100 - p)th;
  ``quintile`` is 1 plus how many of the 20th, 40th, 60th, 80th m reaches.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.model.account import Account, Value, at_path, number
from tests.model.catalog import Catalog
from tests.model.records import DAY_MS, Record, parse_time

Thresholds = Mapping[str, Sequence[float]]
INF = float("inf")

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass
class Moment:
    """An account at ``now_ms``; ``is_member`` answers for the evaluation under way."""

    account: Account
    now_ms: int
    is_member: Callable[[str], bool] = lambda _segment: False
    thresholds: Thresholds = field(default_factory=dict)


@dataclass
class Fields:
    """What a named event's ``where`` can see."""

    properties: dict[str, Any]


Scope = Moment | Fields


def evaluate(node: ast.expr, scope: Scope) -> Value:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _name(name, scope)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            given = {keyword.arg or "": evaluate(keyword.value, scope) for keyword in keywords}
            return _call(name, [evaluate(arg, scope) for arg in args], given, scope)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(truth(value, scope) for value in values)
        case ast.BoolOp(values=values):
            return any(truth(value, scope) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not truth(operand, scope)
        case ast.UnaryOp(op=sign, operand=operand):
            value = _numeric(evaluate(operand, scope))
            return -value if isinstance(sign, ast.USub) and value is not None else value
        case ast.BinOp(left=left, op=op, right=right):
            return calculate(_ARITHMETIC[type(op)], evaluate(left, scope), evaluate(right, scope))
        case ast.Compare():
            return _comparison(node, scope)
        case _:
            raise TypeError(f"no term: {ast.dump(node)}")


def truth(node: ast.expr, scope: Scope) -> bool:
    return bool(evaluate(node, scope))


def _numeric(value: Value) -> Value:
    """A number to calculate with: since and until may be infinite."""
    return value if number(value) is not None or value in (INF, -INF) else None


def calculate(operation: Callable[..., Any], *operands: Value) -> Value:
    if any(_numeric(operand) is None for operand in operands):
        return None
    try:
        return _numeric(operation(*operands))
    except (ZeroDivisionError, OverflowError):
        return None


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _same_kind(left: Value, right: Value) -> bool:
    return left is not None and right is not None and _kind(left) == _kind(right) != "other"


def _compare(op: ast.cmpop, left: Value, right: Value) -> bool:
    if not _same_kind(left, right):
        return False
    if isinstance(op, ast.Eq | ast.NotEq):
        return bool(left == right) is isinstance(op, ast.Eq)
    return _kind(left) != "truth" and _ORDER[type(op)](left, right)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _comparison(node: ast.Compare, scope: Scope) -> bool:
    sides = [node.left, *node.comparators]
    return all(_pair(op, left, right, scope) for op, left, right in zip(node.ops, sides, sides[1:], strict=False))


def _pair(op: ast.cmpop, left: ast.expr, right: ast.expr, scope: Scope) -> bool:
    value = evaluate(left, scope)
    if isinstance(op, ast.In | ast.NotIn):
        assert isinstance(right, ast.Tuple)
        elements = [evaluate(element, scope) for element in right.elts]
        if isinstance(op, ast.In):
            return any(_compare(ast.Eq(), value, element) for element in elements)
        return value is not None and all(_compare(ast.NotEq(), value, element) for element in elements)
    other = evaluate(right, scope)
    if _is_none(left) or _is_none(right):
        return (value is None and other is None) is isinstance(op, ast.Eq)
    return _compare(op, value, other)


# --- names and calls ---

_TIMES: dict[str, Callable[[Account], Value]] = {
    "signed_up_at": Account.signed_up_at,
    "trial_ends_at": Account.trial_ends_at,
    "activated_at": Account.activated_at,
    "converted_at": Account.converted_at,
    "cancelled_at": Account.cancelled_at,
    "last_active_at": Account.last_active_at,
    "first_value_at": Account.first_value_at,
}
_FACTS: dict[str, Callable[[Account], Value]] = {
    "activated": lambda account: account.activated_at() is not None,
    "activation_rate": Account.activation_rate,
    "plan": lambda account: plan if isinstance(plan := account.trait("plan"), str) else None,
    "mrr": lambda account: number(account.trait("mrr")),
    "seats": lambda account: number(account.trait("seats")),
    "usage_ratio": Account.usage_ratio,
    "nps": Account.nps,
}
_WINDOWED: dict[str, Callable[..., Value]] = {
    "count": Account.count,
    "score": Account.score,
    "measure": Account.measure,
    "active_users": Account.active_users,
    "active_days": Account.active_days,
    "core_features": Account.core_features,
    "teams": Account.teams,
}


def _name(name: str, scope: Scope) -> Value:
    assert isinstance(scope, Moment), f"a where knows no {name}"
    account = scope.account
    if name in account.catalog.definitions:
        return evaluate(account.catalog.definitions[name], scope)
    if name == "stage":
        return account.stage(scope.now_ms)
    return (_TIMES.get(name) or _FACTS[name])(account)


def _contains(x: Value, y: Value) -> bool:
    if not isinstance(y, str):
        return False
    if isinstance(x, list):
        return any(isinstance(element, str) and element.lower() == y.lower() for element in x)
    return isinstance(x, str) and y.lower() in x.lower()


def _starts_with(x: Value, y: Value) -> bool:
    return isinstance(x, str) and isinstance(y, str) and x.lower().startswith(y.lower())


_PLAIN: dict[str, Callable[..., Value]] = {
    "known": lambda x: x is not None,
    "default": lambda x, y: y if x is None else x,
    "contains": _contains,
    "starts_with": _starts_with,
    "time": parse_time,
    "min": lambda *given: calculate(min, *given),
    "max": lambda *given: calculate(max, *given),
    "abs": lambda x: calculate(abs, x),
    "round": lambda *given: calculate(round, *given),
}


def _since(moment: Moment, x: Value) -> float:
    return INF if x is None else (moment.now_ms - x) / DAY_MS


def _until(moment: Moment, x: Value) -> float:
    return INF if x is None else (x - moment.now_ms) / DAY_MS


def _sequence(moment: Moment, first: str, second: str, *, within_days: float, days: int) -> bool:
    return moment.account.sequence(moment.now_ms, first, second, within_days * DAY_MS, days)


def _without(moment: Moment, first: str, second: str, *, within_days: float) -> bool:
    since, answer = moment.account.last(first), moment.account.last(second)
    answered = since is not None and answer is not None and answer >= since
    return since is not None and _since(moment, since) >= within_days and not answered


def _ranked(moment: Moment, name: str) -> tuple[Value, Sequence[float] | None]:
    measured = evaluate(moment.account.catalog.definitions[name], moment)
    return number(measured), moment.thresholds.get(name)


def _top_percent(moment: Moment, name: str, percent: int) -> bool:
    measured, percentiles = _ranked(moment, name)
    return measured is not None and percentiles is not None and measured >= percentiles[100 - percent]


def _quintile(moment: Moment, name: str) -> int:
    measured, percentiles = _ranked(moment, name)
    if measured is None or percentiles is None:
        return 0
    reached: list[bool] = [measured >= percentiles[percent] for percent in (20, 40, 60, 80)]
    return 1 + sum(reached)


_OF_A_MOMENT: dict[str, Callable[..., Value]] = {
    "since": _since,
    "until": _until,
    "last": lambda moment, event: moment.account.last(event),
    "trait": lambda moment, key: moment.account.trait(key),
    "member": lambda moment, segment_id: moment.is_member(segment_id),
    "sequence": _sequence,
    "without": _without,
    "top_percent": _top_percent,
    "quintile": _quintile,
}


def _property(fields: Fields, path: str) -> Value:
    value = at_path(fields.properties, path)
    return number(value) if isinstance(value, float) else value


def _call(name: str, args: list[Value], given: dict[str, Value], scope: Scope) -> Value:
    if name in _PLAIN:
        return _PLAIN[name](*args)
    if isinstance(scope, Fields):
        assert name == "property", f"a where knows no {name}"
        return _property(scope, args[0])
    if name in _WINDOWED:
        return _WINDOWED[name](scope.account, scope.now_ms, *args, **given)
    return _OF_A_MOMENT[name](scope, *args, **given)


# --- what a record counts as ---


def names_of(record: Record, catalog: Catalog) -> list[str]:
    """The names a record counts under: its own first, then the named events it fits, in catalog order."""
    if record.name is None:
        return []
    fields = Fields(record.properties)
    fitting = [
        event.name
        for event in catalog.named_events
        if event.event == record.name and (event.where is None or truth(event.where, fields))
    ]
    return [record.name, *fitting]


def weight_milli(names: Sequence[str], catalog: Catalog) -> int:
    """In thousandths, so that sums are exact."""
    for name in [*names[1:], *names[:1]]:
        if name in catalog.weights_milli:
            return catalog.weights_milli[name]
    return 1000
