"""Laws of the verdict over what was told: it finds what is lost, out of order, or told again for no reason."""

import random
from collections.abc import Sequence

import pytest

from streams.settings import Settings
from tests.chaos.pipeline import Pipeline
from tests.chaos.telling import NOTICED_WITHIN_S, Arrival, Telling, answer, explained
from tests.unit.notify.world import transition

TEAM = "team"


@pytest.fixture
def telling() -> Telling:
    one = Telling(Pipeline(Settings(), "door", "oss", "log", {}))
    one.told += [transition("acme", 1), transition("acme", 2), transition("globex", 1)]
    return one


def judge(
    telling: Telling, arrivals: Sequence[tuple[float, int]], moments: Sequence[float] = (), unsure: Sequence[int] = ()
) -> int:
    """Of these arrivals: when, and which of the transitions."""
    names = telling.wanted(TEAM)
    telling.arrived[TEAM] = [
        Arrival(at_s, names[place], telling.told[place]["account_id"], telling.told[place]["sequence"])
        for at_s, place in arrivals
    ]
    return telling._require_arrivals(TEAM, moments, [names[place] for place in unsure])


def test_each_once_and_each_account_in_order_is_right_whatever_the_order_between_accounts(telling: Telling) -> None:
    assert judge(telling, [(1, 2), (2, 0), (3, 1)]) == 0


@pytest.mark.parametrize(
    "arrivals",
    [[(1, 0), (2, 1)], [(1, 1), (2, 0), (3, 2)], [(1, 0), (2, 1), (3, 2), (9, 2)]],
    ids=["lost", "out of order", "again for no reason"],
)
def test_what_is_wrong_is_found(telling: Telling, arrivals: list[tuple[float, int]]) -> None:
    with pytest.raises(AssertionError):
        judge(telling, arrivals)


def test_what_comes_again_after_a_workers_end_is_counted_and_changes_no_order(telling: Telling) -> None:
    assert judge(telling, [(1, 0), (2, 1), (3, 2), (8, 0), (9, 1)], moments=[4.0]) == 2


def test_what_had_no_answer_may_come_again(telling: Telling) -> None:
    assert judge(telling, [(1, 0), (2, 1), (3, 2), (9, 2)], unsure=[2]) == 1


def test_an_end_explains_what_came_around_it_and_nothing_long_before_or_after() -> None:
    assert explained(10, 20, [15])
    assert explained(10, 20, [10 - NOTICED_WITHIN_S])
    assert not explained(10, 20, [21, 9 - NOTICED_WITHIN_S])
    assert not explained(10, 20, [])


def test_destinations_refuse_now_and_then_and_hardly_ever_five_times_in_a_row() -> None:
    chance = random.Random(1)
    said = [answer(chance).status for _ in range(10_000)]
    assert 100 < said.count(503) < 400
    assert not any(said[at : at + 5].count(503) == 5 for at in range(len(said)))
