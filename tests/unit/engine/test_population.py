"""Percentiles by their definition, and the ranks they give."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.engine.account import account_of
from streams.engine.population import PERCENTILES, Thresholds, cuts_of, percentiles_of, ranks_of
from streams.engine.ranking import Ranking
from tests.unit.engine.building import DAY, MIDNIGHT, START, Log, program_of

values = st.integers(-1_000, 1_000) | st.floats(-1e6, 1e6)


@given(st.lists(values, min_size=1, max_size=350))
def test_a_percentile_is_the_value_at_its_share_of_the_ascending_list(found: list[float]) -> None:
    percentiles = percentiles_of(found)
    assert len(percentiles) == PERCENTILES == 101
    for percent in range(100):
        below = sum(value < percentiles[percent] for value in found)
        reached = sum(value <= percentiles[percent] for value in found)
        assert 100 * below <= percent * len(found) < 100 * reached
    assert percentiles[100] == max(found)


def test_of_nobody_there_are_no_percentiles() -> None:
    assert percentiles_of([]) == []


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 99, 100, 101, 250])
def test_the_top_percent_of_distinct_values_are_that_share_rounded_up(count: int) -> None:
    percentiles = percentiles_of(range(count))
    for top in range(1, 101):
        assert sum(value >= percentiles[100 - top] for value in range(count)) == math.ceil(count * top / 100)


@given(values)
def test_ties_count_as_in(value: float) -> None:
    assert percentiles_of([value] * 3) == [value] * PERCENTILES


def test_cuts_are_the_percentiles_that_rules_ask_for_in_the_order_of_the_definitions() -> None:
    known = Thresholds(0, {"idle": [], "load": [10 * percent for percent in range(PERCENTILES)], "unasked": [1]})
    asked = {"depth": (50,), "idle": (20,), "load": (20, 90, 100)}
    assert cuts_of(known, asked) == [[], [], [200, 900, 1000]]


@given(st.lists(values, min_size=1, max_size=5).map(sorted), values)
def test_a_rank_is_how_many_cuts_a_value_reaches(cuts: list[float], value: float) -> None:
    assert ranks_of((value,), [cuts]) == (sum(value >= cut for cut in cuts),)


def test_an_unknown_value_has_no_rank_not_even_the_lowest() -> None:
    assert ranks_of((None, 0), [[1.0, 2.0], [1.0]]) == (-1, 0)


@given(st.none() | values, st.lists(values, min_size=1, max_size=100).map(sorted))
@example(5, [1.0, 2.0, 9.0])
def test_every_rank_is_another_than_without_percentiles(value: float | None, cuts: list[float]) -> None:
    assert ranks_of((value,), [[]]) != ranks_of((value,), [cuts])


@pytest.mark.parametrize("rule", ['quintile("load") == 1', 'quintile("idle") == 5', 'top_percent("idle", 50)'])
def test_percentiles_that_come_and_go_are_seen_by_those_at_either_end(rule: str) -> None:
    """Of a definition that is new, the first record may know nothing: the next one reaches the lowest all the same."""
    log = Log(program_of(rule, definitions={"load": 'count("a")', "idle": "since(converted_at)"}))
    log.track("a", START)
    known = {name: [float(5 + percent) for percent in range(PERCENTILES)] for name in ("load", "idle")}
    for day, percentiles in enumerate([{}, known, {}]):
        log.partition.apply_thresholds(Thresholds(MIDNIGHT + day * DAY, percentiles))
    log.take()
    assert log.story() == [("s0", "entered", MIDNIGHT + DAY), ("s0", "exited", MIDNIGHT + 2 * DAY)]


def test_what_is_ranked_is_a_number_or_unknown() -> None:
    """Whatever a producer sends as a trait: percentiles are of finite numbers only."""
    definitions = {
        "any": 'default(trait("n"), 0)', "idle": "since(converted_at)", "plain": 'count("a")', "money": "mrr"
    }  # fmt: skip
    program = program_of(" or ".join(f'top_percent("{name}", 10)' for name in definitions), definitions=definitions)
    assert [*program.slots.ranked] == ["any", "idle", "money", "plain"]
    for sent, ranked in (("team", None), (True, None), ([1], None), (7, 7), (2.5, 2.5), (None, 0)):
        account = account_of(first_seen=START, traits={"n": (0, sent)})
        assert Ranking(program).values_of(account, START) == (ranked, None, None, 0)


def test_of_each_definition_the_percentiles_are_kept_that_rules_compare_it_with() -> None:
    definitions = {"load": 'count("a")', "depth": 'count("b")', "unasked": 'count("c")'}
    rule = 'top_percent("load", 10) or top_percent("load", 75) or quintile("depth") >= 2 or top_percent("depth", 1)'
    ranked = program_of(rule, definitions=definitions).slots.ranked
    assert [*ranked.items()] == [("depth", (20, 40, 60, 80, 99)), ("load", (25, 90))]


@pytest.mark.parametrize(("events", "quintile"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (9, 5)])
def test_a_quintile_is_one_more_than_the_fifths_that_are_reached(events: int, quintile: int) -> None:
    rules = [f'quintile("load") == {fifth}' for fifth in range(6)]
    log = Log(program_of(*rules, definitions={"load": 'count("a")'}))
    for second in range(events):
        log.track("a", START + second)
    assert log.members() == {"s0"}, "none yet"
    log.partition.apply_thresholds(Thresholds(MIDNIGHT, {"load": percentiles_of(range(1, 6))}))
    assert log.members() == {f"s{quintile}"}


def test_percentiles_that_no_rule_asks_for_change_nothing() -> None:
    log = Log(program_of("since(signed_up_at) < 4"))
    log.track("a", START)
    found = len(log.transitions)
    log.partition.apply_thresholds(Thresholds(START + DAY, {"uses": [float(value) for value in range(PERCENTILES)]}))
    assert found == 1
    assert log.partition.take_transitions() == []
