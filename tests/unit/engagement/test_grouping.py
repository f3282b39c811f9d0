"""A large batch is taken account by account; nothing else about it changes."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from schemas.control import CONTROL_HEADER
from streams.engagement.grouping import GROUPED_FROM_RECORDS, grouped


@dataclass(frozen=True)
class Sent:
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 0
    value: bytes | None = field(default=b"{}")


def batch(keys: list[bytes | None], *, control_at: int = -1) -> list[Sent]:
    control = ((CONTROL_HEADER, b"clock"),)
    return [Sent(at, key, control if at == control_at else ()) for at, key in enumerate(keys)]


keys = st.lists(st.sampled_from([b"a", b"b", b"c", b"\xff"]), max_size=3 * GROUPED_FROM_RECORDS)


@given(keys)
def test_every_record_is_there_once_and_those_of_an_account_are_in_the_order_of_the_log(found: list[bytes]) -> None:
    records = batch([*found])
    after = grouped(records)
    assert sorted(record.offset for record in after) == [record.offset for record in records]
    for key in set(found):
        assert [one for one in after if one.key == key] == [one for one in records if one.key == key]


def test_the_records_of_an_account_stand_together_in_a_large_batch() -> None:
    after = grouped(batch([b"b", b"a"] * GROUPED_FROM_RECORDS))
    assert [one.key for one in after] == [b"b"] * GROUPED_FROM_RECORDS + [b"a"] * GROUPED_FROM_RECORDS


def test_a_small_batch_stays_as_it_is() -> None:
    records = batch([b"b", b"a"] * (GROUPED_FROM_RECORDS // 2 - 1))
    assert grouped(records) == records


def test_nothing_passes_a_control_record_or_one_of_no_account() -> None:
    many: list[bytes | None] = [b"b", b"a"] * GROUPED_FROM_RECORDS
    assert grouped(records := batch(many, control_at=50)) == records
    assert grouped(records := batch([*many, None])) == records
