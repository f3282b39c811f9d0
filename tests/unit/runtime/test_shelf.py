from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.shelf import Shelf
from tests.unit.runtime.fakes import FakeRecord

NOW_MS = 1_000


def filled(*arrivals_ms: int, now_ms: int = NOW_MS) -> Shelf:
    shelf = Shelf()
    shelf.fill([FakeRecord(offset, timestamp=arrival) for offset, arrival in enumerate(arrivals_ms)], now_ms)
    return shelf


def taken(shelf: Shelf, until_ms: float) -> list[int]:
    return [record.offset for record in shelf.take(until_ms)]


def test_a_piece_ends_before_the_first_record_above_the_level() -> None:
    shelf = filled(10, 20, 30)
    assert (shelf.next_ms, shelf.top_ms) == (10, 30)
    assert taken(shelf, 20) == [0, 1]
    assert (shelf.next_ms, shelf.reached_ms, len(shelf)) == (30, 20, 1)
    assert taken(shelf, 29) == []
    assert taken(shelf, 30) == [2]
    assert (shelf.next_ms, len(shelf)) == (None, 0)


def test_a_record_behind_a_younger_one_has_the_level_of_the_younger() -> None:
    shelf = filled(10, 500, 20, 30)
    assert taken(shelf, 100) == [0]
    assert shelf.next_ms == 500
    assert taken(shelf, 500) == [1, 2, 3]


def test_levels_never_fall_from_one_fetch_to_the_next() -> None:
    shelf = filled(500)
    shelf.take(NOW_MS)
    shelf.fill([FakeRecord(1, timestamp=20)], NOW_MS)
    assert (shelf.next_ms, shelf.top_ms) == (500, 500)


def test_a_record_from_the_future_has_the_level_of_now() -> None:
    shelf = filled(10, 10**12, 20)
    assert shelf.top_ms == NOW_MS
    assert taken(shelf, NOW_MS - 1) == [0]
    assert taken(shelf, NOW_MS) == [1, 2]
    assert shelf.reached_ms == NOW_MS


def test_what_has_left_counts_until_it_is_committed() -> None:
    shelf = filled(10, 20, 30)
    assert shelf.uncommitted_ms(0) is None
    shelf.take(20)
    shelf.take(30)
    assert shelf.uncommitted_ms(0) == 10
    assert shelf.uncommitted_ms(1) == 10
    assert shelf.uncommitted_ms(2) == 30
    assert shelf.uncommitted_ms(3) is None


@given(
    st.lists(st.lists(st.integers(0, 2 * NOW_MS), min_size=1, max_size=8), min_size=1, max_size=4),
    st.lists(st.integers(0, NOW_MS), max_size=20),
)
def test_records_leave_once_in_order_and_never_above_the_level(fetches: list[list[int]], levels: list[int]) -> None:
    shelf, offset, seen, newest = Shelf(), 0, [], 0
    asked = iter([*levels])
    for fetch in fetches:
        shelf.fill([FakeRecord(offset + index, timestamp=arrival) for index, arrival in enumerate(fetch)], NOW_MS)
        offset += len(fetch)
        while shelf:
            until = next(asked, NOW_MS)
            assert shelf.next_ms is not None
            expected = shelf.next_ms
            for record in shelf.take(until):
                newest = max(newest, min(record.timestamp, NOW_MS))
                assert expected <= newest <= until
                assert shelf.reached_ms is not None
                assert shelf.reached_ms >= newest
                seen.append(record.offset)
    assert seen == list(range(offset))
