"""Laws of the fault schedules: a seed can be run again, and no kind is left out."""

from collections import Counter

from tests.chaos.schedule import CLUSTER_KINDS, LASTS_S, WORKER_KINDS, Kind, Mix, Range, each, schedule

WORKERS = Mix(each(WORKER_KINDS), steps=20, pause_s=Range(0.1, 1.0))
CLUSTER = Mix(each(CLUSTER_KINDS), steps=7, pause_s=Range(1.0, 2.0))


def test_the_same_seed_is_the_same_schedule_and_another_seed_another() -> None:
    assert schedule(7, WORKERS, CLUSTER) == schedule(7, WORKERS, CLUSTER)
    assert schedule(7, WORKERS, CLUSTER).workers != schedule(8, WORKERS, CLUSTER).workers


def test_a_deck_deals_every_kind_before_any_comes_again() -> None:
    kinds = [step.kind for step in schedule(7, WORKERS, CLUSTER).workers]
    assert set(kinds[: len(WORKER_KINDS)]) == set(WORKER_KINDS)
    assert max(Counter(kinds).values()) <= 3
    assert {step.kind for step in schedule(7, WORKERS, CLUSTER).cluster} == set(CLUSTER_KINDS)


def test_every_kind_says_how_long_it_lasts_and_keeps_to_it() -> None:
    assert LASTS_S.keys() == set(Kind)
    for step in schedule(3, WORKERS, CLUSTER).workers:
        assert LASTS_S[step.kind].low <= step.lasts_s <= LASTS_S[step.kind].high
        assert 0.1 <= step.pause_s <= 1.0
