from collections import Counter, OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.transport import DeliveredOffsets, serve_last


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


def test_partitions_take_turns_though_one_has_always_more() -> None:
    """As the client serves who asks for records of all partitions: the first that has any, until it has none."""
    fetched = OrderedDict((partition, 1_000) for partition in range(4))
    served: Counter[int] = Counter()
    for _ in range(40):
        partition = next(iter(fetched))
        fetched[partition] -= 1
        served[partition] += 1
        serve_last(fetched, [partition])
    assert set(served.values()) == {10}


def test_a_partition_of_which_nothing_is_left_waits_for_its_next_fetch() -> None:
    fetched = OrderedDict([(1, "more")])
    serve_last(fetched, [0, 1])
    assert [*fetched] == [1]
