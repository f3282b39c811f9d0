import math
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.engine.rules.values import (
    ARITHMETIC,
    COMPARE,
    MOVING,
    compare_moving,
    contains,
    is_in,
    not_in,
    number,
    property_at,
    starts_with,
    text,
    time_of,
)

NO_NUMBERS: tuple[Any, ...] = (None, True, False, "3", "", [], {}, math.nan, math.inf, -math.inf, 10**400)
anything: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)
known_numbers = st.integers(-(10**18), 10**18) | st.floats(-1e18, 1e18)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_not_a_finite_number_is_unknown_as_a_number(value: Any) -> None:
    assert number(value) is None


@given(known_numbers)
@example(sys.float_info.max)
@example(int(sys.float_info.max))
@example(-int(sys.float_info.max))
def test_a_finite_number_is_itself(value: float) -> None:
    assert number(value) is value


def test_text_is_text_and_a_time_is_rfc_3339() -> None:
    assert (text("a"), text(""), text(3), text(None)) == ("a", "", None, None)
    assert time_of("1970-01-01T00:00:01.0019Z") == 1_001
    unreadable: list[Any] = ["1970-01-01", "soon", 5, None, True, []]
    assert [time_of(value) for value in unreadable] == [None] * 6


# --- comparisons ---


@pytest.mark.parametrize("symbol", list(COMPARE))
@given(value=anything)
def test_a_comparison_with_an_unknown_is_false(symbol: str, value: Any) -> None:
    unknowns: list[Any] = [None, math.nan, math.inf, [], {}]
    for unknown in unknowns:
        assert not COMPARE[symbol](value, unknown)
        assert not COMPARE[symbol](unknown, value)


@pytest.mark.parametrize("symbol", list(COMPARE))
@pytest.mark.parametrize(("left", "right"), [("3", 3), (3, "3"), (True, 1), (1, True), ("True", True), (True, "True")])
def test_a_comparison_of_different_types_is_false(symbol: str, left: Any, right: Any) -> None:
    assert not COMPARE[symbol](left, right)


@given(known_numbers, known_numbers)
def test_numbers_compare_as_numbers(left: float, right: float) -> None:
    found = [COMPARE[symbol](left, right) for symbol in ("==", "!=", "<", "<=", ">", ">=")]
    assert found == [left == right, left != right, left < right, left <= right, left > right, left >= right]


@given(st.text(max_size=4), st.text(max_size=4))
def test_texts_compare_as_texts(left: str, right: str) -> None:
    found = [COMPARE[symbol](left, right) for symbol in ("==", "!=", "<", "<=", ">", ">=")]
    assert found == [left == right, left != right, left < right, left <= right, left > right, left >= right]


def test_true_and_false_are_equal_or_not_but_have_no_order() -> None:
    yes, no = True, False
    assert COMPARE["=="](yes, yes)
    assert COMPARE["!="](yes, no)
    assert not any(COMPARE[symbol](yes, no) or COMPARE[symbol](no, yes) for symbol in ("<", "<=", ">", ">="))


@given(anything, st.lists(known_numbers | st.text(max_size=3) | st.booleans(), min_size=1, max_size=4))
def test_in_and_not_in_are_never_both_and_neither_for_an_unknown(value: Any, items: list[Any]) -> None:
    inside, outside = is_in(value, tuple(items)), not_in(value, tuple(items))
    assert not (inside and outside)
    comparable = any(COMPARE["=="](value, item) or COMPARE["!="](value, item) for item in items)
    assert (inside or outside) == comparable


@pytest.mark.parametrize(
    ("value", "items", "inside", "outside"),
    [
        ("a", ("a", "b"), True, False),
        ("c", ("a", "b"), False, True),
        (1.0, (1, 2), True, False),
        (True, (1, 2), False, False),
        ("1", (1, 2), False, False),
        (None, ("a",), False, False),
        ([1], (1,), False, False),
        ("c", ("a", 1), False, True),
    ],
)
def test_membership_is_comparison(value: Any, items: tuple[Any, ...], *, inside: bool, outside: bool) -> None:
    assert (is_in(value, items), not_in(value, items)) == (inside, outside)


# --- arithmetic ---

ARITY = {"negate": 1, "abs": 1, "round": 1}


@pytest.mark.parametrize("name", list(ARITHMETIC))
@pytest.mark.parametrize("unknown", NO_NUMBERS)
def test_arithmetic_on_an_unknown_is_unknown(name: str, unknown: Any) -> None:
    if ARITY.get(name) == 1:
        assert ARITHMETIC[name](unknown) is None
    else:
        assert ARITHMETIC[name](unknown, 1) is None
        assert ARITHMETIC[name](1, unknown) is None


@pytest.mark.parametrize("zero", [0, 0.0, -0.0])
def test_division_by_zero_is_unknown(zero: float) -> None:
    assert ARITHMETIC["/"](1, zero) is None
    assert MOVING["/"](1.0, zero) is None


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("*", (1e300, 1e300)),
        ("+", (1.7e308, 1.7e308)),
        ("-", (-1.7e308, 1.7e308)),
        ("/", (1e300, 1e-300)),
        ("*", (10**300, 10**300)),
        ("/", (10**308, 0.5)),
    ],
)
def test_what_leaves_the_range_of_numbers_is_unknown(name: str, args: tuple[float, float]) -> None:
    assert ARITHMETIC[name](*args) is None


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [
        ("round", (2.567, 1), 2.6),
        ("round", (2.5,), 2),
        ("min", (3, 1, 2), 1),
        ("max", (3, 1), 3),
        ("abs", (-3,), 3),
        ("negate", (3,), -3),
    ],
)
def test_functions_of_numbers_are_pythons(name: str, args: tuple[float, ...], result: float) -> None:
    assert ARITHMETIC[name](*args) == result


@given(st.sampled_from([name for name in MOVING if name not in ARITY]), anything, anything)
def test_moving_arithmetic_is_arithmetic_to_which_infinity_is_a_number(name: str, left: Any, right: Any) -> None:
    found = MOVING[name](left, right)
    assert found is None or (isinstance(found, int | float) and not math.isnan(found))
    if number(left) is not None and number(right) is not None and found is not None and math.isfinite(found):
        assert ARITHMETIC[name](left, right) == found


def test_infinity_takes_part_where_time_moves() -> None:
    assert MOVING["+"](math.inf, 3) == math.inf
    assert MOVING["min"](math.inf, 3) == 3
    assert MOVING["negate"](math.inf) == -math.inf
    assert MOVING["-"](math.inf, math.inf) is None
    assert MOVING["*"](math.inf, 0) is None


@pytest.mark.parametrize(
    ("left", "symbol", "right", "holds"),
    [
        (math.inf, ">", 5, True),
        (math.inf, "<", 5, False),
        (math.inf, "==", math.inf, True),
        (None, ">", 5, False),
        (5, "!=", None, False),
        ("a", "!=", 5.0, False),
        (5.0, "==", True, False),
        ([1], "!=", 5.0, False),
        (5.0, "<=", 5, True),
        (5.0, ">=", 6, False),
    ],
)
def test_a_moving_comparison_knows_infinity_but_no_unknown(left: Any, symbol: str, right: Any, *, holds: bool) -> None:
    assert compare_moving(symbol, left, right) is holds


# --- texts ---


@pytest.mark.parametrize(
    ("value", "part", "holds"),
    [
        ("Enterprise", "PRISE", True),
        ("Straße", "STRASSE", True),
        ("", "", True),
        ("team", "x", False),
        (["VIP", "new"], "vip", True),
        (["VIP customers"], "vip", False),
        ([3, None, "a"], "A", True),
        ([], "", False),
        (3, "3", False),
        (None, "a", False),
        ("3", 3, False),
        ({"a": 1}, "a", False),
    ],
)
def test_contains_is_case_insensitive_on_texts_and_lists(value: Any, part: Any, *, holds: bool) -> None:
    assert contains(value, part) is holds


@pytest.mark.parametrize(
    ("value", "start", "holds"),
    [
        ("Team", "te", True),
        ("team", "TEAMS", False),
        ("a", "", True),
        (3, "3", False),
        (["a"], "a", False),
        ("a", None, False),
    ],
)
def test_starts_with_is_case_insensitive_on_texts(value: Any, start: Any, *, holds: bool) -> None:
    assert starts_with(value, start) is holds


def test_a_path_leads_through_objects_only() -> None:
    properties = {"a": {"b": {"c": 1}}, "list": [1]}
    assert property_at(properties, ("a", "b", "c")) == 1
    assert property_at(properties, ("a", "b")) == {"c": 1}
    assert [property_at(properties, tuple(path.split("."))) for path in ("x", "a.x", "list.0", "a.b.c.d")] == [None] * 4
