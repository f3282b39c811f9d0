"""Batches as they are written, read back by the client."""

from typing import Any

import pytest
from aiokafka.codec import snappy_encode
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.record_batch import NAMES_MAX, RecordBatch, _names

TIMES = st.integers(min_value=-1, max_value=2**62)
CONTENTS = st.none() | st.binary(max_size=300)
HEADERS = st.lists(st.tuples(st.text(max_size=20), CONTENTS), max_size=12)
RECORDS = st.lists(st.tuples(TIMES, CONTENTS, CONTENTS, HEADERS), min_size=1, max_size=70)


def batch_of(records: list[Any], bytes_max: int = 1 << 20, *, is_transactional: bool = True) -> RecordBatch:
    batch = RecordBatch(bytes_max, snappy_encode, is_transactional=is_transactional)
    for timestamp, key, value, headers in records:
        assert batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is not None
    return batch


def read(batch: RecordBatch) -> Any:
    found = DefaultRecordBatch(batch._build())
    assert found.validate_crc()
    return found


@given(RECORDS)
def test_what_is_written_is_read_by_the_client(records: list[Any]) -> None:
    found = read(batch_of(records))
    assert [(one.timestamp, one.key, one.value, one.headers) for one in found] == records


def test_records_are_numbered_and_the_frame_says_how_many_there_are_and_when() -> None:
    batch = batch_of([(at, b"k", b"v", ()) for at in (50, 70, 60)])
    found = read(batch)
    assert (found.first_timestamp, found.max_timestamp, found.last_offset_delta) == (50, 70, 2)
    assert [one.offset for one in found] == [0, 1, 2]
    assert batch.record_count() == 3


@pytest.mark.parametrize("is_transactional", [True, False])
def test_a_batch_bears_its_producers_number_and_epoch_and_says_whether_it_is_of_a_transaction(
    *, is_transactional: bool
) -> None:
    batch = batch_of([(1, b"k", b"v", ())], is_transactional=is_transactional)
    batch._set_producer_state(7, 3, 40)
    found = read(batch)
    assert (found.producer_id, found.producer_epoch, found.base_sequence) == (7, 3, 40)
    assert bool(found.is_transactional) is is_transactional


def test_what_is_sent_again_is_the_same() -> None:
    batch = batch_of([(1, b"k", b"v" * 100, ())])
    assert batch._build() is batch._build()
    assert batch.append(timestamp=1, key=b"k", value=b"v", headers=()) is None, "it is under way"


def test_what_gets_no_shorter_is_not_compressed() -> None:
    assert read(batch_of([(1, b"k", b"v" * 1_000, ())])).compression_type == DefaultRecordBatch.CODEC_SNAPPY
    short = bytes(range(256))
    assert read(batch_of([(1, None, short, ())])).compression_type == DefaultRecordBatch.CODEC_NONE


def test_a_full_batch_takes_no_more_and_the_first_record_always_fits() -> None:
    batch = batch_of([(1, None, b"x" * 5_000, ())], bytes_max=1_000)
    assert batch.append(timestamp=1, key=None, value=b"y", headers=()) is None
    assert batch.closed()
    small = RecordBatch(1_000, snappy_encode, is_transactional=True)
    while small.append(timestamp=1, key=b"k", value=b"x" * 50, headers=[("name", b"value")]) is not None:
        pass
    assert [len(one.value) for one in read(small)] == [50] * small.record_count()
    assert 1_000 - 80 < len(read_plain(small)) <= 1_000


def read_plain(batch: RecordBatch) -> bytes:
    """The batch as it would be without compression."""
    plain = RecordBatch(1_000, lambda records: records, is_transactional=True)
    for one in read(batch):
        plain.append(timestamp=one.timestamp, key=one.key, value=one.value, headers=one.headers)
    return plain._build()


def test_names_of_headers_are_remembered_up_to_a_bound() -> None:
    batch_of([(1, b"k", b"v", [(f"name-{number}", b"")]) for number in range(2 * NAMES_MAX)])
    assert len(_names) <= NAMES_MAX
