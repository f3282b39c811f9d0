"""Laws of the fault schedules: a seed can be run again, and no kind is left out."""

from collections import Counter

from tests.chaos.schedule import CLUSTER_KINDS, LASTS_S, WORKER_KINDS, Kind, Mix, Range, each, schedule

WORKERS = Mix(each(WORKER_KINDS), steps=20, pause_s=Range(0.1, 1.0))


def test_the_same_seed_is_the_same_schedule_and_another_seed_another() -> None:
    assert schedule(7, WORKERS) == schedule(7, WORKERS)
    assert schedule(7, WORKERS) != schedule(8, WORKERS)


def test_a_deck_deals_every_kind_before_any_comes_again() -> None:
    kinds = [step.kind for step in schedule(7, WORKERS)]
    assert set(kinds[: len(WORKER_KINDS)]) == set(WORKER_KINDS)
    assert max(Counter(kinds).values()) <= 3


def test_every_kind_belongs_to_one_lane_and_lasts_as_long_as_it_says() -> None:
    assert LASTS_S.keys() == set(Kind) == {*WORKER_KINDS, *CLUSTER_KINDS}
    assert len(WORKER_KINDS) + len(CLUSTER_KINDS) == len(Kind)
    for step in schedule(3, WORKERS):
        assert LASTS_S[step.kind].low <= step.lasts_s <= LASTS_S[step.kind].high
        assert 0.1 <= step.pause_s <= 1.0
