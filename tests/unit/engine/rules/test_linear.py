import math
import operator
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.timestamps import format_ms
from streams.engine.account import Account, account_of
from streams.engine.calendar import DAY_MS
from streams.engine.rules.linear import boundary
from streams.engine.rules.view import View
from streams.engine.working import Working
from tests.unit.engine.building import program_of

COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
NOW: Final = 1_772_452_800_000

functions = st.sampled_from(["since", "until"])
ordered = st.sampled_from(["<", "<=", ">", ">="])
days = (
    st.floats(-4_000, 4_000)
    | st.integers(-4_000, 4_000)
    | st.integers(-(10**9), 10**9).map(lambda tenth: tenth / 10)
    | st.integers(-(10**11), 10**11).map(lambda delta_ms: delta_ms / DAY_MS)
)


def length(function: str, x: int, now: int) -> float:
    """since(x) or until(x), as the contract has it."""
    return (now - x) / DAY_MS if function == "since" else (x - now) / DAY_MS


# --- boundary() ---


@given(functions, ordered, days, st.integers(-(10**12), 10**13))
@example("since", "<", 4, 0)
@example("since", ">", 60, 0)
@example("until", "<=", 3, 0)
@example("until", "<", -0.1, 0)
@example("since", ">=", 1e-300, 0)
def test_a_boundary_is_the_float_comparison_at_every_ms_around(
    function: str, symbol: str, limit: float, x: int
) -> None:
    found = boundary(function, symbol, limit)
    middle = x + found.offset_ms
    for now in range(middle - 3, middle + 4):
        by_integers = now < middle if found.early else now >= middle
        assert by_integers == COMPARE[symbol](length(function, x, now), limit)


@given(functions, ordered, days, st.integers(-(10**12), 10**13), st.integers(-(10**13), 10**13))
def test_a_boundary_is_the_float_comparison_at_any_ms(
    function: str, symbol: str, limit: float, x: int, now: int
) -> None:
    found = boundary(function, symbol, limit)
    by_integers = now < x + found.offset_ms if found.early else now >= x + found.offset_ms
    assert by_integers == COMPARE[symbol](length(function, x, now), limit)


@given(functions, ordered, st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15))
@example("since", "<", 1e15)
@example("since", "<=", -999_999_999_999_999.9)
def test_a_boundary_far_away_is_found_at_once(function: str, symbol: str, limit: float) -> None:
    found = boundary(function, symbol, limit)
    for delta in (found.offset_ms - 1, found.offset_ms):
        by_integers = delta < found.offset_ms if found.early else delta >= found.offset_ms
        assert by_integers == COMPARE[symbol](length(function, 0, delta), limit)


@given(functions, ordered, days)
def test_an_unknown_time_is_infinitely_far(function: str, symbol: str, limit: float) -> None:
    assert boundary(function, symbol, limit).unknown == COMPARE[symbol](math.inf, limit)


@pytest.mark.parametrize(
    ("function", "symbol", "limit", "offset_ms", "early"),
    [
        ("since", "<", 4, 4 * DAY_MS, True),
        ("since", "<=", 4, 4 * DAY_MS + 1, True),
        ("since", ">=", 30, 30 * DAY_MS, False),
        ("since", ">", 60, 60 * DAY_MS + 1, False),
        ("until", "<=", 3, -3 * DAY_MS, False),
        ("until", "<", 3, -3 * DAY_MS + 1, False),
        ("until", ">", 3, -3 * DAY_MS, True),
        ("until", ">=", 3, -3 * DAY_MS + 1, True),
    ],
)
def test_strict_and_other_bounds_are_a_millisecond_apart(
    function: str, symbol: str, limit: float, offset_ms: int, *, early: bool
) -> None:
    found = boundary(function, symbol, limit)
    assert (found.offset_ms, found.early) == (offset_ms, early)


# --- next_flip(), through compiled rules ---

TIMES: Final = ('time(trait("a"))', 'time(trait("b"))', 'time(trait("c"))', "signed_up_at", "converted_at")


class Moving:
    """A rule of moving values, at work on an account that has nothing but times and numbers."""

    def __init__(self, rule: str, account: Account) -> None:
        program = program_of(rule)
        account.first_seen = min(account.first_seen, NOW)
        self._account, self._working = account, Working(program, account)
        self._judge = program.strata[0].judge

    def holds(self, now: int) -> bool:
        return bool(self._judge.judge(View(self._account, self._working, now, 0))[0])

    def next(self, now: int) -> int:
        return self._judge.judge(View(self._account, self._working, now, 0))[2]

    def flips(self, start: int, end: int, steps_max: int = 200) -> list[int]:
        """The moments at which the rule changes, as found by following `next` alone."""
        found: list[int] = []
        now, held = start, self.holds(start)
        for _ in range(steps_max):
            now = self.next(now)
            if now > end:
                return found
            if self.holds(now) != held:
                held = not held
                found.append(now)
        raise AssertionError("the rule asks to be evaluated again and again")


divisors: Final = st.sampled_from(["2", "3", "7", "0.1", "-3", 'trait("n")'])


def numbers(*, large: bool) -> st.SearchStrategy[str]:
    plain = st.sampled_from(["0", "1", "2", "3", "0.5", "0.1", "7", "-2.5", "30", 'trait("n")'])
    return plain | st.sampled_from(["1e9", "-3e10", "123456789012.3", "1e-7"]) if large else plain


@st.composite
def moving(draw: st.DrawFn, depth: int = 2, *, large: bool = False) -> str:
    """An expression that moves with time, most of the time."""
    kind = draw(st.sampled_from(["age", "age", "plus", "times", "divided", "bent", "abs", "negated", "default"]))
    if depth == 0 or kind == "age":
        return f"{draw(functions)}({draw(st.sampled_from(TIMES))})"
    inner = draw(moving(depth - 1, large=large))
    if kind == "plus":
        return f"({inner} {draw(st.sampled_from('+-'))} {draw(numbers(large=large) | moving(depth - 1, large=large))})"
    if kind == "times":
        return f"({draw(numbers(large=large))} * {inner})"
    if kind == "divided":
        return f"({inner} / {draw(divisors)})"
    if kind == "bent":
        return f"{draw(st.sampled_from(['min', 'max']))}({inner}, {draw(numbers(large=large) | moving(depth - 1))})"
    return {"abs": f"abs({inner})", "negated": f"-{inner}", "default": f'default(trait("n"), {inner})'}[kind]


any_symbol = st.sampled_from([*COMPARE])
spread = st.integers(-40 * DAY_MS, 40 * DAY_MS) | st.integers(-40, 40).map(lambda whole: whole * DAY_MS)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    traits = {key: (0, format_ms(NOW + draw(spread))) for key in "abc" if draw(st.booleans())}
    number = draw(st.none() | st.sampled_from([0, 1, -1, 2.5, 10**17, 1e300]))
    return account_of(
        first_seen=NOW - abs(draw(spread)),
        converted_at=draw(st.none() | spread.map(lambda away: NOW + away)),
        traits=traits | ({} if number is None else {"n": (0, number)}),
    )


def check_flips(rule: Moving, samples: list[int]) -> None:
    """What `next` finds is all that happens: at the samples, and around every flip."""
    end, held = NOW + 100 * DAY_MS, rule.holds(NOW)
    found = rule.flips(NOW, end)
    times = {NOW + abs(away) for away in samples} | {flip + around for flip in found for around in (-2, -1, 0, 1, 2)}
    for at in sorted(times):
        if NOW <= at <= end:
            flips = sum(flip <= at for flip in found)
            assert rule.holds(at) == held ^ (flips % 2 == 1), f"at {at - NOW} ms, after {flips} of {len(found)} flips"


@settings(deadline=None, max_examples=300)
@given(moving(), any_symbol, moving() | numbers(large=False), accounts(), st.lists(spread, max_size=20))
def test_a_rule_flips_when_it_said_and_never_before(
    left: str, symbol: str, right: str, account: Account, samples: list[int]
) -> None:
    check_flips(Moving(f"{left} {symbol} {right}", account), samples)


@settings(deadline=None, max_examples=300)
@given(functions, st.sampled_from(TIMES), ordered, numbers(large=True), accounts(), st.lists(spread, max_size=20))
@example("since", "converted_at", ">", "1e9", account_of(converted_at=NOW - DAY_MS), [])
def test_a_rule_of_large_numbers_flips_when_it_said(
    function: str, time: str, symbol: str, large: str, account: Account, samples: list[int]
) -> None:
    """Beyond some 1e8 a day's fraction is coarser than a millisecond: the rule in floats decides all the same."""
    check_flips(Moving(f"{large} + {function}({time}) {symbol} {large} + 3", account), samples)
    check_flips(Moving(f"3 * ({function}({time}) - {large}) {symbol} 3 - 3 * {large}", account), samples)
