"""Which accounts are looked at: the same ones from either side, and never more than were asked for."""

import random

from streams.doctor.sample import ONLY_IN_LOG_MAX, Sample

PLACES = [(number % 4, f"account-{number}") for number in range(500)]


def sampled(places: list[tuple[int, str]], size: int = 20, seed: int = 0) -> Sample:
    sample = Sample(size, seed)
    for place in places:
        sample.saw_row(place, b"row")
    return sample


def test_the_order_of_rows_decides_nothing_and_the_seed_does() -> None:
    shuffled = random.Random(1).sample(PLACES, len(PLACES))
    assert sampled(PLACES).stored == sampled(shuffled).stored
    assert len(sampled(PLACES).stored) == 20
    assert sampled(PLACES).stored != sampled(PLACES, seed=1).stored


def test_the_latest_row_counts_and_a_tombstone_is_remembered() -> None:
    sample = sampled([*PLACES, *PLACES])
    place = next(iter(sample.stored))
    sample.saw_row(place, None)
    assert sample.stored[place] is None
    assert sample.wants(place)


def test_the_log_asks_for_the_accounts_of_the_sample_and_for_those_only_it_knows() -> None:
    whole = sampled(PLACES)
    lost = min(whole.stored)
    partial = sampled([place for place in PLACES if place != lost])
    wanted = {place for place in PLACES if partial.wants(place)}
    assert lost in wanted
    assert partial.stored[lost] is None
    assert wanted == set(partial.stored)


def test_a_state_that_is_gone_fills_no_memory() -> None:
    sample = Sample(20, 0)
    assert sum(sample.wants(place) for place in PLACES) == ONLY_IN_LOG_MAX


def test_accounts_that_are_named_are_looked_at_and_no_others() -> None:
    sample = Sample(20, 0, frozenset({"account-7", "nobody"}))
    for place in PLACES:
        sample.saw_row(place, b"row")
    assert sample.stored == {(3, "account-7"): b"row"}
    assert not sample.wants((0, "account-8"))
    assert sample.wants((0, "nobody"))
