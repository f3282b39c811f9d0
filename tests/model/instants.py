"""The instants at which something may change though no record comes.

An evaluation too many does no harm (it finds nothing to change), so this errs on the side of too many. Between two
records only three things move an account:

* **the day**: while any record lies within reach of the longest window, every local midnight is an instant;
* **since and until**: every pair of numbers that a rule compares, and of which one moves with time, is watched.
  Between two kinks both are linear in time, so their order changes at most once and bisection finds the millisecond.
  Kinks are midnights (a window inside the pair) and the instants where an ``abs``, ``min`` or ``max`` inside the pair
  bends, which are watched pairs themselves, found first;
* **dwell and cooldown**: the instant at which each is over (known only as the evaluations go, see ``segments``).

Orders are compared as the rules compare them, in floats, so a crossing is found where the rule itself flips.
"""

import ast
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.model.account import Account, Value, number
from tests.model.catalog import Catalog, parse
from tests.model.terms import INF, Moment, Thresholds, evaluate


@dataclass(frozen=True)
class Pair:
    """Two expressions whose order may change as time goes by."""

    left: ast.expr
    right: ast.expr
    has_window: bool
    bends: bool  # abs, min or max inside


def _calls(node: ast.expr, catalog: Catalog) -> set[str]:
    """The names of all terms called in an expression, definitions included."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name):
            found.add(inner.func.id)
            found.update("window" for keyword in inner.keywords if keyword.arg == "days")
        elif isinstance(inner, ast.Name) and inner.id in catalog.definitions:
            found |= _calls(catalog.definitions[inner.id], catalog)
    return found


def _inside_out(node: ast.expr, catalog: Catalog) -> Iterator[ast.expr]:
    """An expression and all within it, the inner ones first, definitions spelt out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword):
            continue
        if isinstance(child, ast.expr):
            yield from _inside_out(child, catalog)
    if isinstance(node, ast.Name) and node.id in catalog.definitions:
        yield from _inside_out(catalog.definitions[node.id], catalog)
    yield node


def _sides(node: ast.expr, catalog: Catalog, thresholds: Thresholds) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The pairs of expressions whose order decides what ``node`` is."""
    match node:
        case ast.Compare(left=left, comparators=comparators):
            for one, other in zip([left, *comparators], comparators, strict=False):
                yield from ((one, side) for side in (other.elts if isinstance(other, ast.Tuple) else [other]))
        case ast.Call(func=ast.Name(id="abs"), args=[inner]):
            yield inner, ast.Constant(0)
        case ast.Call(func=ast.Name(id="min" | "max"), args=args):
            yield from ((a, b) for place, a in enumerate(args) for b in args[place + 1 :])
        case ast.Call(func=ast.Name(id="without"), args=[first, _], keywords=[ast.keyword(value=within)]):
            yield parse(f"since(last({ast.unparse(first)}))"), within
        case ast.Call(func=ast.Name(id="top_percent" | "quintile"), args=[ast.Constant(value=str(name)), *_]):
            bounds = thresholds.get(name, ())
            yield from ((catalog.definitions[name], ast.Constant(bound)) for bound in bounds)
        case _:
            return


class Watch:
    """What a catalog's rules have to be watched for."""

    def __init__(self, catalog: Catalog, thresholds: Thresholds) -> None:
        self._catalog = catalog
        self._thresholds = thresholds
        self.pairs = list(self._pairs())
        self.reach_days = max((_reach(rule) for rule in self._expressions()), default=0)

    def _expressions(self) -> Iterator[ast.expr]:
        yield from self._catalog.rules()
        yield from self._catalog.definitions.values()

    def _pairs(self) -> Iterator[Pair]:
        yield Pair(parse("until(trial_ends_at)"), parse("0"), has_window=False, bends=False)  # the stage
        seen: set[tuple[str, str]] = set()
        for rule in self._expressions():
            for node in _inside_out(rule, self._catalog):
                for left, right in _sides(node, self._catalog, self._thresholds):
                    calls = _calls(left, self._catalog) | _calls(right, self._catalog)
                    key = (ast.dump(left), ast.dump(right))
                    if key in seen or not calls & {"since", "until"}:
                        continue
                    seen.add(key)
                    yield Pair(left, right, "window" in calls, bool(calls & {"abs", "min", "max"}))

    def instants(self, account: Account, after_ms: float, to_ms: int) -> list[int]:
        """All instants in ``(after_ms, to_ms]`` at which a rule may flip, in order."""
        start = int(after_ms)
        if to_ms <= start:
            return []
        midnights = self._midnights(account, start, to_ms)
        kinks: set[int] = set()
        for pair in self.pairs:
            stops = {start, to_ms + 1}
            stops.update(midnights if pair.has_window else ())
            stops.update(kinks if pair.bends else ())
            kinks.update(self._crossings(account, pair, sorted(stops)))
        return sorted(at for at in {*midnights, *kinks} if start < at <= to_ms)

    def _midnights(self, account: Account, start: int, to_ms: int) -> list[int]:
        newest = account.last_counted_day()
        if newest is None or not self.reach_days:
            return []
        first = self._catalog.day_of(start) + 1
        last = min(self._catalog.day_of(to_ms), newest + self.reach_days)
        return [at for day in range(first, last + 1) if start < (at := self._catalog.day_start(day)) <= to_ms]

    def _crossings(self, account: Account, pair: Pair, stops: list[int]) -> Iterator[int]:
        def order(at_ms: int) -> int | None:
            moment = Moment(account, at_ms, thresholds=self._thresholds)
            return _order(evaluate(pair.left, moment), evaluate(pair.right, moment))

        for low, beyond in itertools.pairwise(stops):
            for flip in _flips(low, beyond - 1, order):
                yield from (flip - 1, flip)


def _order(left: Value, right: Value) -> int | None:
    """-1, 0, 1 as left is less than, equal to, greater than right; None when they do not compare."""
    comparable = all(number(value) is not None or value in (INF, -INF) for value in (left, right))
    return (left > right) - (left < right) if comparable else None


def _flips(low: int, high: int, order: Callable[[int], int | None]) -> list[int]:
    """When an order that changes at most once leaves what it was, and when it becomes what it will be."""
    was, will = order(low), order(high)
    if was == will:
        return []
    return [_first(low, high, lambda at: order(at) != was), _first(low, high, lambda at: order(at) == will)]


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first instant in ``(low, high]`` at which something holds that does not at ``low`` and does at ``high``."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _constant(keywords: Iterable[ast.keyword], name: str) -> int:
    found = [keyword.value for keyword in keywords if keyword.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) and isinstance(found[0].value, int) else 0


def _reach(rule: ast.expr) -> int:
    """How many days the longest window of a rule looks back."""
    calls = [node for node in ast.walk(rule) if isinstance(node, ast.Call)]
    return max((_constant(c.keywords, "days") + _constant(c.keywords, "before") for c in calls), default=0)
