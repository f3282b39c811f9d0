"""What a compressed batch holds, up to a limit: a few kilobytes may unpack to gigabytes.

The stock client unpacks whatever comes, and takes the memory for it. Here a batch that holds more than
``BATCH_BYTES_MAX`` is not unpacked at all; what is cut short, damaged or of no known codec raises the same
``UnpackError``. As Java clients do, trailing bytes that begin no further gzip member are passed over.
"""

import mmap
import struct
import zlib
from enum import IntEnum
from typing import Final

import cramjam

from streams.limits import BATCH_BYTES_MAX

GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_WINDOW_BITS: Final = 31
XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
XERIAL_HEADER_BYTES: Final = 16


class Codec(IntEnum):
    """The number in a batch's attributes."""

    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class UnpackError(Exception):
    """A batch cannot be unpacked, or holds too much. The text quotes nothing of it."""


class Unpacker:
    """Keeps the memory that it unpacks into: one for each thread that fetches."""

    def __init__(self, bytes_max: int = BATCH_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._scratch: mmap.mmap | None = None
        """As large as the largest batch; memory is taken only for what was ever written to it."""

    def unpack(self, codec: int, packed: bytes) -> bytes:
        try:
            match codec:
                case Codec.GZIP:
                    return self._gzip(packed)
                case Codec.SNAPPY:
                    return self._snappy(packed)
                case Codec.LZ4:
                    return self._into_scratch(cramjam.lz4, packed)
                case Codec.ZSTD:
                    return self._into_scratch(cramjam.zstd, packed)
                case _:
                    raise UnpackError(f"codec {codec} is unknown")
        except (cramjam.DecompressionError, zlib.error, struct.error):
            raise UnpackError(f"it is damaged, or holds more than {self._bytes_max} bytes") from None

    def _into_scratch(self, codec: object, packed: bytes) -> bytes:
        if self._scratch is None:
            self._scratch = mmap.mmap(-1, self._bytes_max)
        size_bytes: int = codec.decompress_into(packed, self._scratch)  # type: ignore[attr-defined]
        return self._scratch[:size_bytes]

    def _gzip(self, packed: bytes) -> bytes:
        parts: list[bytes] = []
        left = self._bytes_max
        while packed.startswith(GZIP_MAGIC) or not parts:
            stream = zlib.decompressobj(GZIP_WINDOW_BITS)
            parts.append(stream.decompress(packed, left + 1))
            left -= len(parts[-1])
            if left < 0 or not stream.eof:
                raise UnpackError(f"it is cut short, or holds more than {self._bytes_max} bytes")
            packed = stream.unused_data
        return b"".join(parts)

    def _snappy(self, packed: bytes) -> bytes:
        if not packed.startswith(XERIAL_MAGIC):
            return self._snappy_block(packed, self._bytes_max)
        parts: list[bytes] = []
        at, left = XERIAL_HEADER_BYTES, self._bytes_max
        while at < len(packed):
            (size_bytes,) = struct.unpack_from(">I", packed, at)
            at += 4 + size_bytes
            parts.append(self._snappy_block(packed[at - size_bytes : at], left))
            left -= len(parts[-1])
        return b"".join(parts)

    def _snappy_block(self, block: bytes, left: int) -> bytes:
        if cramjam.snappy.decompress_raw_len(block) > left:
            raise UnpackError(f"it holds more than {self._bytes_max} bytes")
        return bytes(cramjam.snappy.decompress_raw(block))
