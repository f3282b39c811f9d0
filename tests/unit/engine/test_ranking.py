"""Keys order accounts as the values do that they stand for, on whatever day."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.timestamps import YEAR_1_MS, YEAR_9999_END_MS
from streams.engine.columns import Column, Place
from streams.engine.population import percentiles_of
from streams.engine.ranking import Ranking
from tests.unit.engine.building import DAY, START, Log, program_of

MOMENTS = st.integers(YEAR_1_MS, YEAR_9999_END_MS)
NAMED = st.tuples(st.integers(0, 40) | st.floats(allow_nan=False), st.sampled_from("abcdefghij"))


def ranking_of(definition: str) -> Ranking:
    return Ranking(program_of('top_percent("x", 10)', definitions={"x": definition}))


@pytest.mark.parametrize("definition", ["since({})", "-since({})", "until({})", "-until({})", "-(-since({}))"])
@pytest.mark.parametrize("moment", ["last_active_at", "converted_at", 'last("a")'])
def test_a_time_since_or_until_has_a_key_that_time_leaves_alone(definition: str, moment: str) -> None:
    log = Log(program_of('top_percent("x", 10)', definitions={"x": definition.format(moment)}))
    for place, account in enumerate(("acme", "bolt", "cole")):
        log.track("a" if account != "cole" else "b", START + place, account=account)
    log.track("subscription_started", START + DAY, account="acme")
    partition, ranking = log.partition, log.partition._ranking
    seen = []
    for at_ms in (START + DAY, START + 400 * DAY):
        lives = [partition._live[one] for one in ("acme", "bolt", "cole")]
        keys = [ranking.keys_at(live, at_ms) for live in lives]
        values = [ranking.values_at(live, at_ms) for live in lives]
        assert [key is None for (key,) in keys] == [value is None for (value,) in values]
        assert ranking.values([[key for (key,) in keys if key is not None]], at_ms) == [
            [value for (value,) in values if value is not None]
        ]
        seen.append(keys)
    assert ranking.has_keys
    assert seen[0] == seen[1]


@given(st.lists(MOMENTS, min_size=2, unique=True), MOMENTS, st.sampled_from(["since", "-since", "until", "-until"]))
@example([YEAR_1_MS, YEAR_1_MS + 1], YEAR_9999_END_MS, "since")
@example([YEAR_9999_END_MS - 1, YEAR_9999_END_MS], YEAR_1_MS, "-until")
def test_greater_keys_are_greater_values_to_the_millisecond(moments: list[int], at_ms: int, function: str) -> None:
    ranking = ranking_of(f"{function}(last_active_at)")
    (values,) = ranking.values([sorted(moments)], at_ms)
    assert all(one < other for one, other in pairwise(values))


@pytest.mark.parametrize(
    "definition", ["2 * since(last_active_at)", "default(since(converted_at), 1)", 'since(signed_up_at) * count("a")']
)
def test_what_moves_in_another_way_has_no_keys(definition: str) -> None:
    assert not ranking_of(definition).has_keys


@given(st.lists(st.tuples(st.lists(NAMED), st.lists(st.sampled_from("abcdefghij")))))
def test_a_column_stands_in_order_whoever_comes_and_goes(moves: list[tuple[list[Place], list[str]]]) -> None:
    column, known = Column(), dict[str, Place]()
    for come, gone in moves:
        new = {account_id: (key, account_id) for key, account_id in come}
        left = [known.pop(one) for one in {*gone, *new} & known.keys()]
        column.move(left, [*new.values()])
        known |= new
        keys = [key for key, _ in known.values()]
        assert column.percentiles() == percentiles_of(keys)
        for low, high in pairwise([*keys, 3, 7, -1]):
            expected = {one for key, one in known.values() if (key >= low) != (key >= high)}
            assert {*column.between(low, high)} == expected


def test_few_who_move_are_moved_one_by_one() -> None:
    column = Column()
    column.move([], [(key, f"{key}") for key in range(1_000)])
    places = column._places
    column.move([(500, "500")], [(7, "500")])
    assert column._places is places
    assert column.between(7, 8) == ["500", "7"]
