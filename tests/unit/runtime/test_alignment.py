"""Laws of keeping partitions together in time, by hand and over a model that hands out what is allowed."""

from dataclasses import dataclass, field, replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.alignment import (
    HISTORY_MS,
    IDLE_S,
    LEAD_MAX_MS,
    PATIENCE_S,
    Alignment,
    Allowance,
    Place,
    Reason,
    allowances,
    overlooked,
)

SPREAD_MS = 1_000
NOW_MS = 10**12
ALIGNED = Alignment(SPREAD_MS)
EMPTY = Place(0, None, None, None, None, at_end=False, silent_s=0.0, awaited_s=0.0)
ENDED = replace(EMPTY, at_end=True)


def holding(number: int, next_ms: int, top_ms: int | None = None, uncommitted_ms: int | None = None) -> Place:
    return replace(EMPTY, number=number, next_ms=next_ms, top_ms=top_ms or next_ms, uncommitted_ms=uncommitted_ms)


def allowed(place: Place, *others: Place) -> Allowance:
    """What a partition may hand out beside others."""
    numbered = [place, *(replace(other, number=index) for index, other in enumerate(others, place.number + 1))]
    return next(one for one in allowances(numbered, ALIGNED, NOW_MS) if one.number == place.number)


@pytest.mark.parametrize(
    ("other", "reason", "until"),
    [
        pytest.param(holding(1, 5_000), Reason.FREE, inf, id="a partition as far as this one"),
        pytest.param(
            holding(1, 4_000), Reason.CUT, 5_000, id="within lead and spread, but not with all of its records"
        ),
        pytest.param(holding(1, 3_999), Reason.AHEAD, -inf, id="too far behind"),
        pytest.param(holding(1, 9_000, uncommitted_ms=3_999), Reason.UNCOMMITTED, -inf, id="it has yet to commit"),
        pytest.param(holding(1, 9_000, uncommitted_ms=4_500), Reason.CUT, 5_500, id="it will commit what is near"),
        pytest.param(EMPTY, Reason.UNKNOWN, -inf, id="it has not said yet where it stands"),
        pytest.param(replace(EMPTY, reached_ms=4_000), Reason.CUT, 5_000, id="it is at least where it was"),
        pytest.param(replace(EMPTY, reached_ms=3_999), Reason.AHEAD, -inf, id="... which is far behind"),
        pytest.param(replace(EMPTY, awaited_s=PATIENCE_S), Reason.FREE, inf, id="it was waited for long enough"),
        pytest.param(ENDED, Reason.UNKNOWN, -inf, id="it has nothing, but history has only begun to come"),
        pytest.param(replace(ENDED, silent_s=IDLE_S), Reason.FREE, inf, id="it has nothing, and never had"),
        pytest.param(replace(ENDED, reached_ms=100), Reason.UNCOMMITTED, -inf, id="it has nothing more, just now"),
        pytest.param(
            replace(ENDED, reached_ms=100, silent_s=IDLE_S), Reason.FREE, inf, id="it has had nothing for long"
        ),
    ],
)
def test_what_a_partition_may_hand_out_depends_on_where_the_other_stands(
    other: Place, reason: Reason, until: float
) -> None:
    assert allowed(holding(0, 5_000, top_ms=5_900), other) == Allowance(0, reason, until)


def test_a_partition_waits_for_the_one_that_is_furthest_behind() -> None:
    assert allowed(holding(0, 5_000), holding(0, 5_000), holding(0, 10)).reason is Reason.AHEAD


def test_the_present_does_not_wait_for_a_partition_at_its_end() -> None:
    place, ended = holding(0, NOW_MS - HISTORY_MS), replace(ENDED, number=1)
    assert [one.reason for one in allowances([place, ended], ALIGNED, NOW_MS)] == [Reason.FREE, Reason.NOTHING]
    assert allowances([place, ended], ALIGNED, NOW_MS + 1)[0].reason is Reason.UNKNOWN


def test_a_partition_does_not_wait_for_its_own_commit() -> None:
    assert allowed(holding(0, 9_000, uncommitted_ms=1), replace(ENDED, silent_s=IDLE_S)).reason is Reason.FREE


def test_what_holds_nothing_may_hand_out_nothing() -> None:
    assert allowed(EMPTY, ENDED) == Allowance(0, Reason.NOTHING)


def test_without_alignment_everything_goes() -> None:
    places = [holding(0, 1), holding(1, 10**12), replace(EMPTY, number=2)]
    assert [one.reason for one in allowances(places, None, NOW_MS)] == [Reason.FREE, Reason.FREE, Reason.NOTHING]


def test_the_lead_is_never_more_than_the_spread() -> None:
    assert Alignment(10).lead_ms == 10
    assert Alignment(10 * LEAD_MAX_MS).lead_ms == LEAD_MAX_MS


levels = st.integers(0, 4 * SPREAD_MS)


@st.composite
def places(draw: st.DrawFn) -> list[Place]:
    found = []
    for number in range(draw(st.integers(1, 5))):
        uncommitted_ms, reached_ms, next_ms, top_ms = sorted(draw(st.tuples(levels, levels, levels, levels)))
        fetched, begun = draw(st.booleans()), draw(st.booleans())
        found.append(
            Place(
                number,
                next_ms if fetched else None,
                top_ms if fetched else None,
                reached_ms if begun else None,
                uncommitted_ms if begun and draw(st.booleans()) else None,
                at_end=not fetched and draw(st.booleans()),
                silent_s=draw(st.sampled_from([0.0, IDLE_S])),
                awaited_s=draw(st.sampled_from([0.0, PATIENCE_S])),
            )
        )
    return found


@given(places(), st.sampled_from([0, NOW_MS]))
def test_somebody_may_go_on_or_something_is_to_be_waited_for_that_comes(found: list[Place], now_ms: int) -> None:
    """No deadlock: a commit, a fetch or time alone lets the partition furthest behind go on."""
    if all(place.next_ms is None for place in found):
        return
    settled = [replace(place, uncommitted_ms=None, silent_s=IDLE_S, awaited_s=PATIENCE_S) for place in found]
    decided = allowances(settled, ALIGNED, now_ms)
    assert decided[0].passes


@given(places())
def test_whoever_is_not_overlooked_is_never_passed_by_more_than_the_spread(found: list[Place]) -> None:
    for one in allowances(found, ALIGNED, NOW_MS):
        if not one.passes:
            continue
        top = min(one.until_ms, found[one.number].top_ms or 0)
        for other in found:
            if other.number == one.number or overlooked(other):
                continue
            known = other.next_ms if other.uncommitted_ms is None else other.uncommitted_ms
            assert known is None or top <= known + SPREAD_MS


@given(places(), st.randoms())
def test_the_order_in_which_places_are_told_decides_nothing(found: list[Place], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    by_number = {one.number: one for one in allowances(found, ALIGNED, NOW_MS)}
    assert {one.number: one for one in allowances(shuffled, ALIGNED, NOW_MS)} == by_number


# -- a model of a worker: partitions with their whole history readable, handed out and committed as allowed ------------


@dataclass
class Modelled:
    number: int
    levels: list[int]
    given: int = 0
    committed: int = 0
    out: list[int] = field(default_factory=list)

    def place(self) -> Place:
        rest = self.levels[self.given :]
        return Place(
            self.number,
            rest[0] if rest else None,
            rest[-1] if rest else None,
            self.levels[self.given - 1] if self.given else None,
            self.levels[self.committed] if self.committed < self.given else None,
            at_end=not rest,
            silent_s=IDLE_S,
            awaited_s=0.0,
        )

    def give(self, until_ms: float) -> None:
        self.given = next(
            (i for i, one in enumerate(self.levels) if i >= self.given and one > until_ms), len(self.levels)
        )


@given(
    st.lists(st.lists(st.integers(0, 20 * SPREAD_MS), max_size=12).map(sorted), min_size=1, max_size=4),
    st.randoms(),
)
def test_all_is_handed_out_and_nothing_committed_comes_after_what_is_younger_by_more_than_the_spread(
    histories: list[list[int]], random: object
) -> None:
    partitions = [Modelled(number, history) for number, history in enumerate(histories)]
    written: list[int] = []
    while any(one.committed < len(one.levels) for one in partitions):
        before = [(one.given, one.committed) for one in partitions]
        for allowance in allowances([one.place() for one in partitions], ALIGNED, NOW_MS)[:1]:
            if allowance.passes:
                partitions[allowance.number].give(allowance.until_ms)
        stuck = before == [(one.given, one.committed) for one in partitions]
        flushed = [one for one in partitions if stuck or random.random() < 0.3]  # type: ignore[attr-defined]
        random.shuffle(flushed)  # type: ignore[attr-defined]
        for one in flushed:
            written += one.levels[one.committed : one.given]
            one.committed = one.given
        assert not stuck or before != [(one.given, one.committed) for one in partitions], "nothing moves any more"
    assert sorted(written) == sorted(level for history in histories for level in history)
    newest = -1
    for level in written:
        assert level >= newest - SPREAD_MS
        newest = max(newest, level)
