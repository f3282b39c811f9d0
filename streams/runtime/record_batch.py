"""Record batches as they are written: one pass over the fields, straight into the bytes of the batch.

Theory of operation. The client's batch makes an object for each record, turns each header's name into bytes again, and
is asked through three layers of Python; packing was a tenth of what an event costs. Here a record is written where it
will be sent from. The layout is Kafka's, version 2, as KIP-98 and KIP-82 have it:

    batch     offset, length, leader epoch, magic, CRC-32C of all that follows,
              attributes, last offset, first and greatest timestamp, producer, epoch, number, count; the records
    record    length, attributes, timestamp and offset since the first, key, value, headers

Lengths and differences are variable: seven bits a byte, the sign in the lowest bit, so that what is small is short. The
names of headers are few and come back; so many are remembered as bytes.

The client sends it: `_set_producer_state`, `_build`, `close`, `closed` and `record_count` are what its accumulator asks
of a batch (aiokafka 0.14.0). Compiled.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka.record.util import calc_crc32c
from librt.strings import BytesWriter
from mypy_extensions import i64

NAMES_MAX: Final = 256
HEADER: Final = struct.Struct(">qiibIhiqqqhii")
CRC_FROM: Final = 21
LENGTH_FROM: Final = 12
MAGIC: Final = 2
NO_LEADER_EPOCH: Final = -1
TRANSACTIONAL: Final = 0x10
SNAPPY: Final = 2
RECORD_ATTRIBUTES: Final = 0
NONE: Final = -1

_names: dict[str, bytes] = {}


def _write(into: BytesWriter, number: i64) -> None:
    left = (number << 1) ^ (number >> 63)
    while left > 0x7F or left < 0:
        into.append(int(left & 0x7F | 0x80))
        left = (left >> 7) & 0x01FF_FFFF_FFFF_FFFF
    into.append(int(left))


def _size(number: i64) -> i64:
    left = (number << 1) ^ (number >> 63)
    size: i64 = 1
    while left > 0x7F or left < 0:
        size += 1
        left = (left >> 7) & 0x01FF_FFFF_FFFF_FFFF
    return size


def _named(name: str) -> bytes:
    """A header's name with its length before it."""
    known = _names.get(name)
    if known is None:
        raw, into = name.encode(), BytesWriter()
        _write(into, len(raw))
        into.write(raw)
        known = into.getvalue()
        if len(_names) < NAMES_MAX:
            _names[name] = known
    return known


class RecordBatch:
    """Records of one partition, until they are sent."""

    def __init__(self, bytes_max: int, compress: Callable[[bytes], bytes], *, is_transactional: bool) -> None:
        self._bytes_max = bytes_max
        self._compress = compress
        self._is_transactional = is_transactional
        self._records = BytesWriter()
        self._count = 0
        self._first_ms = self._greatest_ms = 0
        self._producer = (NONE, NONE, NONE)
        self._closed = False
        self._built: bytes | None = None

    def append(
        self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> "RecordBatch | None":
        """Add a record, or say with ``None`` that it is full; the first one always fits."""
        if self._closed:
            return None
        if not self._count:
            self._first_ms = self._greatest_ms = timestamp
        after_ms, number = timestamp - self._first_ms, self._count
        key_size: i64 = NONE if key is None else len(key)
        value_size: i64 = NONE if value is None else len(value)
        ending = _headers(headers)
        size: i64 = 1 + _size(after_ms) + _size(number) + _size(key_size) + _size(value_size) + len(ending)
        size += max(key_size, 0) + max(value_size, 0)
        into = self._records
        if number and HEADER.size + len(into) + size + _size(size) > self._bytes_max:
            self._closed = True
            return None
        _write(into, size)
        into.append(RECORD_ATTRIBUTES)
        _write(into, after_ms)
        _write(into, number)
        _write(into, key_size)
        if key is not None:
            into.write(key)
        _write(into, value_size)
        if value is not None:
            into.write(value)
        into.write(ending)
        self._greatest_ms = max(self._greatest_ms, timestamp)
        self._count += 1
        return self

    def record_count(self) -> int:
        return self._count

    def close(self) -> None:
        self._closed = True

    def closed(self) -> bool:
        return self._closed

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = producer_id, producer_epoch, base_sequence

    def _build(self) -> bytes:
        """The bytes that are sent, again and again if need be."""
        self._closed = True
        if self._built is None:
            records = self._records.getvalue()
            packed = self._compress(records)
            attributes = TRANSACTIONAL if self._is_transactional else 0
            if len(packed) < len(records):
                attributes |= SNAPPY
                records = packed
            self._built = self._framed(attributes, records)
        return self._built

    def _framed(self, attributes: int, records: bytes) -> bytes:
        def header(crc: int) -> bytes:
            return HEADER.pack(
                0, HEADER.size - LENGTH_FROM + len(records), NO_LEADER_EPOCH, MAGIC, crc, attributes, self._count - 1,
                self._first_ms, self._greatest_ms, *self._producer, self._count,
            )  # fmt: skip

        return header(calc_crc32c(header(0)[CRC_FROM:] + records)) + records


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    if not headers:
        return b"\x00"
    into = BytesWriter()
    _write(into, len(headers))
    for name, value in headers:
        into.write(_named(name))
        if value is None:
            _write(into, NONE)
        else:
            _write(into, len(value))
            into.write(value)
    return into.getvalue()
