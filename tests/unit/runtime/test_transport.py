from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.transport import DeliveredOffsets


def test_nothing_is_processed_before_its_turn() -> None:
    delivered = DeliveredOffsets()
    for offset in (0, 7, 20):
        delivered.handed_out(offset)
    acked = {7}
    assert delivered.processed_to(acked) is None
    acked.add(0)
    assert delivered.processed_to(acked) == 8
    assert delivered.processed_to(acked) is None
    acked.add(20)
    assert delivered.processed_to(acked) == 21


@given(st.lists(st.integers(0, 500), min_size=1, unique=True).map(sorted), st.randoms())
def test_acks_in_any_order_end_at_the_last_offset_and_never_go_back(offsets: list[int], random: object) -> None:
    delivered = DeliveredOffsets()
    for offset in offsets:
        delivered.handed_out(offset)
    order = list(offsets)
    random.shuffle(order)  # type: ignore[attr-defined]
    acked: set[int] = set()
    reached = -1
    for count, offset in enumerate(order, 1):
        acked.add(offset)
        processed = delivered.processed_to(acked)
        unbroken = next((i for i, one in enumerate(offsets) if one not in order[:count]), len(offsets))
        if processed is not None:
            assert processed > reached
            assert processed == offsets[unbroken - 1] + 1
            reached = processed
    assert reached == offsets[-1] + 1
    assert not acked
