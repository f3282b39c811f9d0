"""The statistics of results: published values, and laws that hold for any counts."""

from math import inf, isclose
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.report.intervals import Interval, difference, ratio, share, two_sided_z
from streams.report.power import BASELINE_MIN, needed
from streams.report.split import SUSPICIOUS_BELOW, chi_square, p_of_split

CONFIDENCE = 0.95


def limits(interval: Interval) -> tuple[float, float]:
    return round(interval.low, 4), round(interval.high, 4)


# Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("reached", "of", "published"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_a_share_has_the_published_wilson_interval(reached: int, of: int, published: tuple[float, float]) -> None:
    assert limits(share(reached, of, CONFIDENCE)) == published


# Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10; the last is Perondi's trial as in
# Fagerland, Lydersen, Laake, Statistical Analysis of Contingency Tables (2017), chapter 4.
@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
        ((7, 34), (1, 34), (0.0189, 0.3404)),
    ],
)
def test_a_difference_has_the_published_newcombe_interval(
    one: tuple[int, int], other: tuple[int, int], published: tuple[float, float]
) -> None:
    assert limits(difference(share(*one, CONFIDENCE), share(*other, CONFIDENCE))) == published


def test_a_ratio_has_the_published_mover_r_interval() -> None:
    """Perondi's trial, 7 of 34 against 1 of 34: Fagerland, Lydersen, Laake (2017), chapter 4."""
    found = ratio(share(7, 34, CONFIDENCE), share(1, 34, CONFIDENCE))
    assert isclose(found.estimate, 7.0)
    assert limits(found) == (1.1537, 41.9763)


def test_a_ratio_to_nothing_has_no_upper_limit() -> None:
    found = ratio(share(5, 50, CONFIDENCE), share(0, 50, CONFIDENCE))
    assert found.estimate == inf
    assert found.high == inf
    assert 0 < found.low < inf


counts = st.integers(1, 3_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(counts, counts, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_difference_and_ratio_never_contradict_each_other(
    one: tuple[int, int], other: tuple[int, int], confidence: float
) -> None:
    treatment, control = share(*one, confidence), share(*other, confidence)
    apart, by = difference(treatment, control), ratio(treatment, control)
    assert -1 <= apart.low <= apart.estimate <= apart.high <= 1
    assert by.low >= 0
    if treatment.estimate == control.estimate:
        assert apart.low <= 0 <= apart.high
        return
    # At the edge itself rounding decides.
    if min(abs(apart.low), abs(apart.high)) > 1e-9:
        assert apart.leaves_out(0) == by.leaves_out(1)


@given(counts)
def test_a_share_lies_in_its_interval_and_more_confidence_is_wider(counted: tuple[int, int]) -> None:
    narrow, wide = share(*counted, 0.8), share(*counted, 0.99)
    assert 0 <= wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high <= 1


def test_z_is_that_of_the_tables() -> None:
    assert round(two_sided_z(0.95), 4) == 1.96
    assert round(two_sided_z(0.99), 4) == 2.5758


# Sizes per arm at a level of 5 % and a power of 80 %, as the tables of the formula without correction have them.
@pytest.mark.parametrize(
    ("baseline", "effect", "per_arm"), [(0.10, 0.05, 686), (0.20, 0.10, 294), (0.50, 0.10, 388), (0.40, 0.20, 97)]
)
def test_equal_arms_need_what_the_tables_say(baseline: float, effect: float, per_arm: int) -> None:
    found = needed(baseline, effect, 0.5, CONFIDENCE)
    assert found is not None
    assert (found.treatment, found.control) == (per_arm, per_arm)


def test_a_small_control_makes_the_whole_larger_and_itself_smaller() -> None:
    half, tenth = needed(0.1, 0.05, 0.5, CONFIDENCE), needed(0.1, 0.05, 0.1, CONFIDENCE)
    assert half is not None
    assert tenth is not None
    assert tenth.control < half.control
    assert tenth.both > half.both
    assert abs(tenth.treatment - 9 * tenth.control) <= 9


def test_a_baseline_of_nothing_is_taken_to_be_small_not_none() -> None:
    assert needed(0.0, 0.05, 0.5, CONFIDENCE) == needed(BASELINE_MIN, 0.05, 0.5, CONFIDENCE)


def test_an_effect_that_does_not_fit_above_is_looked_for_below_and_one_that_fits_nowhere_is_none() -> None:
    assert needed(0.99, 0.05, 0.5, CONFIDENCE) is not None
    assert needed(0.5, 0.6, 0.5, CONFIDENCE) is None
    assert needed(0.5, 0.0, 0.5, CONFIDENCE) is None


def test_arms_as_drawn_are_no_mismatch_and_a_lost_tenth_of_a_large_arm_is() -> None:
    assert p_of_split(900, 100, 0.1) == 1.0
    assert p_of_split(0, 0, 0.1) == 1.0
    assert p_of_split(9_000, 900, 0.1) < 0.05
    assert p_of_split(90_000, 9_000, 0.1) < SUSPICIOUS_BELOW


def test_the_chi_square_of_a_known_table() -> None:
    """The usual critical values of one degree of freedom: 3.841 at 5 %, 10.828 at 0.1 %."""
    assert chi_square(60, 40, 0.5) == 4.0
    assert round(p_of_split(60, 40, 0.5), 4) == 0.0455


def found(treatment: float, control: float, of: int, runs: int = 800) -> float:
    """How often an interval leaves out 0, of experiments with these true shares and so many accounts an arm."""
    random = Random(7)
    seen = 0
    for _ in range(runs):
        counts = [sum(random.random() < true for _ in range(of)) for true in (treatment, control)]
        one, other = (share(reached, of, CONFIDENCE) for reached in counts)
        seen += difference(one, other).leaves_out(0)
    return seen / runs


def test_nothing_is_taken_for_something_about_once_in_twenty_times() -> None:
    assert 0.02 < found(0.1, 0.1, 400) < 0.075


def test_an_effect_is_seen_with_the_power_that_its_size_of_sample_promises() -> None:
    sizes = needed(0.1, 0.05, 0.5, CONFIDENCE)
    assert sizes is not None
    assert 0.76 < found(0.15, 0.1, sizes.control) < 0.84
