import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.changelog import Loading
from streams.runtime.failure import RuntimeFailure
from streams.runtime.position import (
    POSITION_KEY,
    Position,
    decode_position,
    encode_position,
    encode_position_at,
    staged,
    unstaged,
)
from tests.unit.runtime.fakes import FakeRecord, FakeStage

OFFSETS = st.integers(0, 2**63 - 1)


@given(OFFSETS, OFFSETS, st.none() | OFFSETS)
def test_a_position_survives_its_row(position: int, at: int, origin: int | None) -> None:
    assert decode_position(encode_position(position)) == Position(position)
    assert decode_position(encode_position_at(position, at, origin)) == Position(position, at, origin)


def test_a_row_of_a_transaction_counts_wherever_it_stands_and_another_only_where_it_was_to_stand() -> None:
    assert Position(7).stands_at(3)
    assert Position(7, at=3).stands_at(3)
    assert not Position(7, at=3).stands_at(4)


@given(OFFSETS, st.integers(0, 2**32 - 1), st.binary(), st.none() | st.binary())
def test_a_staged_row_is_the_row_again(origin: int, number: int, key: bytes, value: bytes | None) -> None:
    kept_as, packed = staged(origin, number, (key, value))
    assert packed is not None
    assert unstaged(packed) == (key, value)
    assert kept_as[:1] == b"\xff"


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"{}", b"[]", b"7", b'{"position":"7"}', b'{"position":-1}', b'{"position":true}', b"\xff",
        b'{"position":7,"at":"1"}', b'{"position":7,"at":1,"staged":-1}',
    ],
)  # fmt: skip
def test_an_unreadable_position_row_is_refused(value: bytes | None) -> None:
    with pytest.raises(RuntimeFailure):
        decode_position(value)


def test_the_stage_sees_its_own_rows_in_order_and_the_last_position_counts() -> None:
    stage = FakeStage()
    loading = Loading(0, stage)
    rows = [
        (b"a", b"1"),
        (POSITION_KEY, encode_position(5)),
        (b"a", b"2"),
        (b"b", None),
        (POSITION_KEY, encode_position(9)),
    ]
    loading.take([FakeRecord(offset, key, value) for offset, (key, value) in enumerate(rows)])
    assert stage.rows == {b"a": b"2", b"b": None}
    assert loading.position == 9
    assert loading.rows == 3


def test_a_row_without_any_key_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="without a key"):
        Loading(0, FakeStage()).take([FakeRecord(0, None)])


def closed_by(value: bytes, at: int, *more: FakeRecord) -> Loading:
    loading = Loading(0, FakeStage())
    loading.take([FakeRecord(at - 1, b"a", b"1"), FakeRecord(at, POSITION_KEY, value), *more])
    return loading


def test_state_that_ends_with_a_position_row_is_whole_whoever_wrote_it() -> None:
    for row in (encode_position(5), encode_position_at(5, 7)):
        loading = closed_by(row, 7)
        loading.finish()
        assert loading.position == 5
        assert loading.done


@pytest.mark.parametrize(
    ("row", "more"),
    [
        pytest.param(encode_position_at(5, 6), [], id="a position row that stands elsewhere"),
        pytest.param(encode_position_at(5, 7, 3), [], id="rows that are staged only"),
        pytest.param(encode_position_at(5, 7), [FakeRecord(8, b"b", b"1")], id="rows after it"),
    ],
)
def test_state_that_ends_within_a_flush_without_transaction_is_refused_by_exactly_once(
    row: bytes, more: list[FakeRecord]
) -> None:
    with pytest.raises(RuntimeFailure, match="at_least_once"):
        closed_by(row, 7, *more).finish()
