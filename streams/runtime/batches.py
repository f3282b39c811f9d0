"""Record batches off the wire, read so that no record stops those behind it.

Theory of operation. A broker checks the frame of what a producer sends, not all of its content. What it lets through
and a stock client fails at, again and again, would hold up its partition for ever:

=======================================  ===========================================================================
on the wire                              what comes out
=======================================  ===========================================================================
a header's name is no UTF-8              the record with its other headers, and a last one, ``UNREADABLE_HEADER``,
                                         that says so: the stage refuses it (``headers.require_readable``)
a batch that cannot be unpacked, or      one record in its place: the batch's bytes as they are, and
holds more than ``BATCH_BYTES_MAX``      ``UNREADABLE_HEADER``
records that claim offsets outside of    the records with the offsets that the broker gave them: else the consumer's
their batch, or the same one twice       position would jump over records of other producers
a wrong CRC                              ``CorruptRecordException``: the log itself is damaged, and the worker stops
=======================================  ===========================================================================

The client's C extension reads a batch; only what it fails at is read again here, record by record.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecord, DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from schemas.dead_letter import UNREADABLE_HEADER
from streams.runtime.unpack import Unpacker, UnpackError

FRAME: Final = struct.Struct(">qi")
HEADER_BYTES: Final = 61
MAGIC_AT: Final = 16
ATTRIBUTES_AT: Final = 21
CODEC_MASK: Final = 0x07
MAGIC_WITH_HEADERS: Final = 2

offset_of = attrgetter("offset")


class Batches:
    """The batches of one fetch of one partition; what aiokafka's fetcher expects of its ``MemoryRecords``."""

    def __init__(self, raw: bytes, unpacker: Unpacker) -> None:
        self._raw = raw
        self._unpacker = unpacker
        self._at = 0

    def has_next(self) -> bool:
        """Whether a whole batch is left: a fetch may end within one."""
        return self._end() is not None

    def next_batch(self) -> Any:
        end = self._end()
        if end is None:
            return None
        raw, self._at = self._raw[self._at : end], end
        if len(raw) < HEADER_BYTES or raw[MAGIC_AT] < MAGIC_WITH_HEADERS:
            return MemoryRecords(raw).next_batch()  # as brokers before 0.11 wrote it: no headers, no such trouble
        batch = DefaultRecordBatch(raw)
        return batch if batch.is_control_batch else ReadableBatch(raw, batch, self._unpacker)

    def _end(self) -> int | None:
        if len(self._raw) - self._at < FRAME.size:
            return None
        end: int = self._at + FRAME.size + FRAME.unpack_from(self._raw, self._at)[1]
        return end if end <= len(self._raw) else None


class ReadableBatch:
    """A batch whose records can be read, whatever they are."""

    is_control_batch = False

    def __init__(self, raw: bytes, batch: Any, unpacker: Unpacker) -> None:
        self._raw = raw
        self._batch = batch
        self._unpacker = unpacker
        self.producer_id = batch.producer_id
        self.base_offset = batch.base_offset
        self.next_offset = batch.next_offset
        self.is_transactional = batch.is_transactional

    def validate_crc(self) -> bool:
        """Raise if the batch is not as the broker took it: that is for an operator, and no reason to go on."""
        if not self._batch.validate_crc():
            raise CorruptRecordException(
                f"the log is damaged: the CRC of the batch of offsets {self.base_offset} to {self.next_offset - 1} is "
                "wrong. Restore the partition from a replica; without one, stop the workers and move their group's "
                f"offset to {self.next_offset}, which loses these records"
            )
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(self._records())

    def _records(self) -> list[Any]:
        try:
            plain = self._unpacked()
        except UnpackError as error:
            return [self._unread(f"the batch cannot be unpacked: {error}")]
        try:
            return self._in_place(list(DefaultRecordBatch(plain)))
        except (UnicodeDecodeError, CorruptRecordException):
            pass
        try:
            return self._in_place(list(self._leniently(plain)))
        except (IndexError, ValueError) as error:
            return [self._unread(f"the batch holds no records as they should be: {type(error).__name__}")]

    def _unpacked(self) -> bytes:
        (attributes,) = struct.unpack_from(">h", self._raw, ATTRIBUTES_AT)
        codec = attributes & CODEC_MASK
        if codec == 0:
            return self._raw
        records = self._unpacker.unpack(codec, self._raw[HEADER_BYTES:])
        head = bytearray(self._raw[:HEADER_BYTES])
        struct.pack_into(">h", head, ATTRIBUTES_AT, attributes & ~CODEC_MASK)
        return bytes(head) + records

    def _unread(self, why: str) -> Any:
        batch = self._batch
        headers = [(UNREADABLE_HEADER, f"batch: {why}".encode())]
        return DefaultRecord(
            batch.base_offset, batch.max_timestamp, batch.timestamp_type, None, self._raw[HEADER_BYTES:], headers
        )

    def _in_place(self, records: list[Any]) -> list[Any]:
        """The records with offsets that rise and lie within the batch; gaps are compaction's work."""
        base, end = self.base_offset, self.next_offset
        offsets = list(map(offset_of, records))
        if offsets == list(range(base, base + len(records))) and base + len(records) <= end:
            return records
        rising = all(first < second for first, second in pairwise(offsets))
        if rising and base <= offsets[0] and offsets[-1] < end:
            return records
        if len(records) != end - base:
            raise ValueError("offsets")
        return [
            DefaultRecord(base + index, one.timestamp, one.timestamp_type, one.key, one.value, one.headers)
            for index, one in enumerate(records)
        ]

    def _leniently(self, plain: bytes) -> Iterator[Any]:
        (count,) = struct.unpack_from(">i", plain, HEADER_BYTES - 4)
        reader = _Reader(bytearray(plain), HEADER_BYTES)
        for _ in range(count):
            length = reader.varint()
            end = reader.at + length
            reader.at += 1  # attributes: none are defined
            moment, offset = self._moment(reader.varint()), self.base_offset + reader.varint()
            key, value = reader.sized(), reader.sized()
            headers = list(reader.headers())
            if reader.at != end:
                raise ValueError("length")
            yield DefaultRecord(offset, moment, self._batch.timestamp_type, key, value, headers)

    def _moment(self, delta_ms: int) -> int:
        batch = self._batch
        return int(batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + delta_ms)


class _Reader:
    """Walks over the fields of records."""

    def __init__(self, raw: bytearray, at: int) -> None:
        self._raw = raw
        self.at = at

    def varint(self) -> int:
        value, self.at = decode_varint(self._raw, self.at)
        return int(value)

    def sized(self) -> bytes | None:
        length = self.varint()
        if length < 0:
            return None
        end = self.at + length
        if end > len(self._raw):
            raise IndexError
        field, self.at = bytes(self._raw[self.at : end]), end
        return field

    def headers(self) -> Iterator[tuple[str, bytes | None]]:
        unreadable: list[bytes] = []
        for _ in range(self.varint()):
            name, content = self.sized() or b"", self.sized()
            try:
                yield name.decode(), content
            except UnicodeDecodeError:
                unreadable.append(name)
        if unreadable:
            yield UNREADABLE_HEADER, b"headers: %d with a name that is no UTF-8" % len(unreadable)
