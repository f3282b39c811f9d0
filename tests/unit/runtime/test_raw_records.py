from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.record.default_records import DefaultRecord, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.runtime.raw_records import RawShelf

TP = TopicPartition("in", 0)


def fetched() -> FetchResult:
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=9_999
    )
    for offset in range(3):
        builder.append(offset, 1_000 + offset, b"k", b"v%d" % offset, [("h", b"1")])
    records = PartitionRecords(
        TP, MemoryRecords(bytes(builder.build())), [], 0, None, None, check_crcs=True, isolation_level=READ_COMMITTED
    )
    assignment = Assignment([TP])
    assignment.state_value(TP).seek(0)
    return FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)


async def test_records_come_off_the_shelf_as_the_extension_made_them() -> None:
    shelf = RawShelf()
    shelf[TP] = fetched()
    records = shelf[TP].getall()
    assert all(type(record) is DefaultRecord for record in records)
    assert [(one.offset, one.timestamp, one.key, one.value, one.headers) for one in records] == [
        (offset, 1_000 + offset, b"k", b"v%d" % offset, [("h", b"1")]) for offset in range(3)
    ]


async def test_errors_lie_on_the_shelf_too() -> None:
    shelf = RawShelf()
    shelf[TP] = FetchError(error=ValueError(), backoff=0)
    assert isinstance(shelf[TP], FetchError)
