"""Laws of reading the wire: what a broker lets through never stops a partition, and nothing of it is lost."""

import gzip
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import snappy_encode
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecord
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from schemas.dead_letter import Rejected
from streams.limits import BATCH_BYTES_MAX
from streams.runtime.headers import require_readable
from streams.runtime.raw_records import RawResponses, RawShelf
from streams.runtime.unpack import Unpacker, UnpackError
from tests.kafka.raw_batches import batch, record, zipped

TP = TopicPartition("in", 0)
NOW = 1_772_368_498_000
GOOD = record(0, b"k", b"v", [(b"h", b"1"), (b"n", None)])
BAD_NAME = record(1, b"k", b"w", [(b"\xff", b"1"), (b"h", b"2")])


class Client:
    """Answers every fetch with the same bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    async def send(self, node_id: int, request: Any, *, group: int = 0) -> Any:
        return SimpleNamespace(topics=[(TP.topic, [(TP.partition, 0, 0, 0, [], self.raw)])])


async def read(raw: bytes, position: int = 0, pieces: int | None = None) -> list[Any]:
    """What a worker gets of a fetch."""
    client = Client(raw)
    shelf = RawShelf(RawResponses(client))
    await client.send(1, FetchRequest(0, 0, 0, 0, []), group=0)
    records = PartitionRecords(
        TP, MemoryRecords(raw), [], position, None, None, check_crcs=True, isolation_level=READ_COMMITTED
    )
    assignment = Assignment([TP])
    assignment.state_value(TP).seek(position)
    shelf[TP] = FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)
    found: list[Any] = []
    while shelf[TP].has_more():
        found += shelf[TP].getall(pieces)
    assert all(type(one) is DefaultRecord for one in found)
    return found


def at(base: int, raw: bytes) -> bytes:
    """A batch as the broker stores it: with its place in the log, which the CRC does not cover."""
    return base.to_bytes(8, "big") + raw[8:]


def told(records: Sequence[Any]) -> list[tuple[int, bytes | None]]:
    return [(one.offset, one.value) for one in records]


def refused(one: Any) -> str:
    with pytest.raises(Rejected) as caught:
        require_readable(one.headers)
    return str(caught.value)


CODECS: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: lambda raw: gzip.compress(raw, 1),
    2: lambda raw: bytes(cramjam.snappy.compress_raw(raw)),
    3: lambda raw: bytes(cramjam.lz4.compress(raw)),
    4: lambda raw: bytes(cramjam.zstd.compress(raw)),
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("pieces", [None, 1])
async def test_records_come_off_the_shelf_as_the_extension_makes_them(codec: int, pieces: int | None) -> None:
    two = GOOD + record(1, None, None)
    raw = at(7, batch(CODECS[codec](two), 2, NOW, codec)) + at(9, batch(GOOD, 1, NOW))
    found = await read(raw, 7, pieces)
    assert [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in found] == [
        (7, NOW, b"k", b"v", [("h", b"1"), ("n", None)]),
        (8, NOW, None, None, []),
        (9, NOW, b"k", b"v", [("h", b"1"), ("n", None)]),
    ]


async def test_a_xerial_stream_and_several_gzip_members_are_read_as_java_writes_them() -> None:
    members = gzip.compress(GOOD[:4]) + gzip.compress(GOOD[4:])
    for codec, packed in ((2, snappy_encode(GOOD, xerial_blocksize=5)), (1, members), (1, zipped(GOOD) + b"junk")):
        assert told(await read(batch(packed, 1, NOW, codec))) == [(0, b"v")]


@pytest.mark.parametrize("codec", CODECS)
async def test_a_header_whose_name_is_no_text_spoils_its_record_alone(codec: int) -> None:
    packed = CODECS[codec](GOOD + BAD_NAME + record(2, b"k", b"x"))
    first, second, third = await read(batch(packed, 3, NOW, codec))
    for good in (first, third):
        require_readable(good.headers)
    assert (second.offset, second.key, second.value, second.timestamp) == (1, b"k", b"w", NOW)
    assert second.headers[0] == ("h", b"2")
    assert refused(second) == "bad_headers: 1 with a name that is no UTF-8"


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 7])
async def test_a_batch_that_cannot_be_unpacked_is_one_record_of_its_bytes_and_the_next_one_is_read(codec: int) -> None:
    raw = batch(b"garbage" * 10, 3, NOW, codec) + at(3, batch(GOOD, 1, NOW))
    first, second = await read(raw)
    assert (first.offset, first.key, first.value) == (0, None, b"garbage" * 10)
    assert refused(first).startswith("bad_batch: the batch cannot be unpacked")
    assert (second.offset, second.value) == (3, b"v")


@pytest.mark.parametrize("payload", [b"garbage" * 10, GOOD[:-3], b"", GOOD + GOOD[:4], b"\xff" * 30])
async def test_a_batch_without_proper_records_is_one_record_of_its_bytes(payload: bytes) -> None:
    (only,) = await read(batch(payload, 2, NOW))
    assert only.value == payload
    assert refused(only).startswith("bad_batch: the batch holds no records as they should be")


async def test_a_batch_that_was_dead_lettered_before_a_restart_is_not_dead_lettered_again() -> None:
    raw = batch(b"garbage", 3, NOW, 1) + at(3, batch(GOOD, 1, NOW))
    assert told(await read(raw, position=1)) == [(3, b"v")]


@pytest.mark.parametrize("codec", [1, 3, 4])
async def test_a_bomb_is_not_unpacked(codec: int) -> None:
    packed = CODECS[codec](record(0, b"k", b"\0" * BATCH_BYTES_MAX))
    assert len(packed) < 2 << 20
    raw = batch(packed, 1, NOW, codec)
    (only,) = await read(raw)
    assert only.value == packed
    assert refused(only).startswith("bad_batch")


def test_the_limit_is_exact() -> None:
    for codec in (1, 2, 3, 4):
        packed = CODECS[codec](b"x" * 1_000)
        assert len(Unpacker(1_000).unpack(codec, packed)) == 1_000
        with pytest.raises(UnpackError):
            Unpacker(999).unpack(codec, packed)


@pytest.mark.parametrize("numbers", [(5, 6), (0, 0), (1, 0), (0, 1_000_000), (-1, 0)])
async def test_offsets_that_are_not_of_their_batch_move_no_position(numbers: tuple[int, int]) -> None:
    first, second = numbers
    payload = record(first, b"k", b"a") + record(second, b"k", b"b")
    raw = at(10, batch(payload, 2, NOW)) + at(12, batch(GOOD, 1, NOW))
    assert told(await read(raw, 10)) == [(10, b"a"), (11, b"b"), (12, b"v")]


async def test_what_compaction_left_keeps_its_offsets() -> None:
    raw = batch(record(1, b"k", b"a") + record(4, b"k", b"b"), 2, NOW)
    assert told(await read(with_last_delta(raw, 5))) == [(1, b"a"), (4, b"b")]


async def test_a_damaged_log_is_no_bad_record_but_the_end() -> None:
    raw = bytearray(batch(GOOD, 1, NOW))
    raw[-1] ^= 1
    with pytest.raises(CorruptRecordException, match=r"the batch of offsets 0 to 0 is wrong.*offset to 1,"):
        await read(bytes(raw))


async def test_a_fetch_may_end_within_a_batch() -> None:
    raw = batch(GOOD, 1, NOW)
    assert told(await read(raw + at(1, raw)[:-5])) == [(0, b"v")]
    assert told(await read(raw + b"\0" * 5)) == [(0, b"v")]


async def test_errors_lie_on_the_shelf_too() -> None:
    shelf = RawShelf(RawResponses(Client(b"")))
    shelf[TP] = FetchError(error=ValueError(), backoff=0)
    assert isinstance(shelf[TP], FetchError)


def with_last_delta(raw: bytes, delta: int) -> bytes:
    tail = raw[21:23] + delta.to_bytes(4, "big") + raw[27:]
    crc: int = calc_crc32c(tail)
    return raw[:17] + crc.to_bytes(4, "big") + tail
