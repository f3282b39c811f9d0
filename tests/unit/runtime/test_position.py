import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.changelog import Loading
from streams.runtime.failure import RuntimeFailure
from streams.runtime.position import POSITION_KEY, decode_position, encode_position
from tests.unit.runtime.fakes import FakeRecord, FakeStage


@given(st.integers(0, 2**63 - 1))
def test_a_position_survives_its_row(position: int) -> None:
    assert decode_position(encode_position(position)) == position


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"7", b'{"position":"7"}', b'{"position":-1}', b"\xff"])
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
