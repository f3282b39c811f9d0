"""What is said of a rule without any account holds for all: tried on every combination of a few values."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.catalogs.certain import always, follows, never
from streams.engine.rules.expression import Node
from streams.engine.rules.parse import Scope, parse_condition

VALUES = (None, -1, 0, 1, 1.5, 2, 3)
PLANS = (None, "a", "b", "c")


def node(text: str) -> Node:
    return parse_condition(text, Scope())


class _Unknown:
    """Every comparison with it is false."""

    def __lt__(self, other: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __eq__(self, other: object) -> bool:
        return False

    __ne__ = __eq__
    __hash__ = None  # type: ignore[assignment]


def outcomes(*texts: str) -> Iterator[tuple[bool, ...]]:
    for mrr, seats, plan in product(VALUES, VALUES, PLANS):
        values = {"mrr": mrr, "seats": seats, "plan": plan}
        known = {name: _Unknown() if value is None else value for name, value in values.items()}
        yield tuple(bool(eval(text, {}, known)) for text in texts)


COMPARISONS = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["mrr", "seats"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.integers(0, 2),
    ),
    st.builds(
        "{} {} {}".format,
        st.integers(0, 2),
        st.sampled_from(["<", "<=", ">", ">=", "=="]),
        st.sampled_from(["mrr", "seats"]),
    ),
    st.builds('plan {} "{}"'.format, st.sampled_from(["==", "!="]), st.sampled_from("abc")),
    st.sampled_from(['plan in ("a", "b")', 'plan in ("c",)', "0 <= mrr < 2", "True", "False"]),
)
RULES = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=6,
)


@given(RULES, RULES)
@example("mrr > 1 and mrr < 1", "mrr == 1")
@example('plan == "a"', 'plan in ("a", "b")')
def test_nothing_is_claimed_that_some_account_contradicts(one: str, other: str) -> None:
    seen = list(outcomes(one, other))
    if never(node(one)):
        assert not any(first for first, _ in seen)
    if always(node(one)):
        assert all(first for first, _ in seen)
    if follows(node(one), node(other)):
        assert all(first for first, second in seen if second)


@pytest.mark.parametrize(
    "text",
    [
        "False", "not True", "mrr > 3 and mrr < 2", "mrr >= 2 and 2 > mrr", "mrr == 1 and (seats > 1 and mrr == 2)",
        'stage == "trial" and stage == "expired"', 'stage in ("trial", "customer") and stage == "expired"',
        "5 < mrr < 5", "(mrr > 3 and mrr < 2) or False", "active_days(days=7) > 7",
        "quintile('worth') > 5",
        "activation_rate > 1", "nps > 10", 'count("a") < 0', "core_features(days=7) > 2",
    ],
)  # fmt: skip
def test_rules_that_can_never_hold_are_seen(text: str) -> None:
    found = parse_condition(text, Scope(definitions={"worth": "mrr"}))
    assert never(found, core_features=2)


@pytest.mark.parametrize(
    "text",
    [
        "mrr > 3 or mrr < 2",
        "mrr >= 2 and mrr <= 2",
        "active_days(days=7) >= 7",
        "mrr > 3 and seats < 2",
        "score(days=7) < 0",
    ],
)
def test_rules_that_may_hold_are_left_alone(text: str) -> None:
    assert not never(node(text), core_features=2)


@pytest.mark.parametrize(
    ("exit_when", "when"),
    [
        ("score(days=7) > 5", "score(days=7) >= 10"), ("mrr > 3 or score(days=7) > 5", "score(days=7) >= 10"),
        ("known(plan)", "known(plan) and mrr > 3"), ("True", "mrr > 3"), ("mrr > 1 and mrr > 0", "mrr > 2"),
        ("(mrr > 1 or seats > 1)", "(mrr > 1 or seats > 1) and activated"), ('plan in ("a", "b")', 'plan == "a"'),
    ],
)  # fmt: skip
def test_an_exit_that_follows_from_the_entry_is_seen(exit_when: str, when: str) -> None:
    assert follows(node(exit_when), node(when))


@pytest.mark.parametrize(
    ("exit_when", "when"), [("mrr > 3", "mrr >= 3"), ("mrr > 1 and seats > 1", "mrr > 2"), ("mrr < 3", "seats > 3")]
)
def test_an_exit_that_need_not_hold_is_left_alone(exit_when: str, when: str) -> None:
    assert not follows(node(exit_when), node(when))
