from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from streams.engine import codec
from streams.engine.account import account_of
from streams.engine.message_ids import DIGEST_BYTES, MessageIds
from streams.limits import MESSAGE_ID_AGE_MAX_MS, MESSAGE_IDS_MAX

START = 1_772_323_200_000
DAY = MESSAGE_ID_AGE_MAX_MS
LOW_BITS = 1 << 32


def digest_of(number: int) -> bytes:
    return blake2b(number.to_bytes(4, "big"), digest_size=DIGEST_BYTES).digest()


class Remembered:
    """What a plain map would remember."""

    def __init__(self) -> None:
        self.ids: dict[bytes, int] = {}

    def take(self, digest: bytes, arrival: int) -> None:
        self.ids.pop(digest, None)
        self.ids[digest] = arrival
        kept = list(self.ids.items())[-MESSAGE_IDS_MAX:]
        self.ids = {known: at for known, at in kept if arrival - at <= DAY}


pauses = st.one_of(st.integers(0, 1_000), st.integers(0, 3 * DAY), st.integers(LOW_BITS - DAY, LOW_BITS + DAY))


@given(
    st.integers(-DAY, START),
    st.lists(st.tuples(st.integers(0, 700), pauses), max_size=80),
    st.sampled_from([0, 1, 500, 600]),
)
def test_it_remembers_what_a_map_of_the_last_ids_of_a_day_would(
    start: int, records: list[tuple[int, int]], before: int
) -> None:
    ids, remembered, arrival = MessageIds(), Remembered(), start
    for number, later in [*((number, 1) for number in range(before)), *records]:
        digest = digest_of(number)
        known = remembered.ids.get(digest)
        assert ids.taken_at(digest) == known
        taken_before = arrival
        arrival += later
        if known is None or taken_before - known > DAY:  # else it is a duplicate, and nobody takes it again
            ids.take(digest, arrival)
            remembered.take(digest, arrival)
        assert len(ids) == len(remembered.ids)
    assert all(ids.taken_at(digest) == at for digest, at in remembered.ids.items())


@given(st.lists(st.tuples(st.binary(min_size=8, max_size=8), pauses), max_size=30), st.sampled_from([1, 2, 3]))
def test_ids_are_stored_and_loaded_as_they_are_in_every_version(taken: list[tuple[bytes, int]], version: int) -> None:
    ids, arrival = MessageIds(), START
    for digest, later in taken:
        arrival += later
        if ids.taken_at(digest) is None:
            ids.take(digest, arrival)
    stored = codec.encode(account_of(now=START, message_ids=ids), version)
    assert codec.decode(stored).message_ids == ids
    assert codec.decode(stored).message_ids.arrivals() == ids.arrivals()


def test_the_busiest_account_takes_a_bounded_number_of_bytes() -> None:
    ids = MessageIds()
    for number in range(3 * MESSAGE_IDS_MAX):
        ids.take(digest_of(number), START)
    assert (len(ids), len(ids.pairs)) == (MESSAGE_IDS_MAX, 2 * MESSAGE_IDS_MAX)
    assert ids.taken_at(digest_of(2 * MESSAGE_IDS_MAX - 1)) is None
    assert ids.taken_at(digest_of(2 * MESSAGE_IDS_MAX)) == START
