"""Where a key belongs: murmur2, as the Java client's default partitioner has it, so that all writers agree.

A worker asks with each output, so it is computed in whole numbers of the machine where this is compiled. The product of
two numbers below 2^32 and 2^31 fits into one with a sign.
"""

from typing import Final

from mypy_extensions import i64

SEED: Final[i64] = 0x9747B28C
FACTOR: Final[i64] = 0x5BD1E995
WORD: Final[i64] = 0xFFFF_FFFF
POSITIVE: Final = 0x7FFF_FFFF


def murmur2(key: bytes) -> int:
    size: i64 = len(key)
    found: i64 = SEED ^ size
    at: i64 = 0
    while at + 4 <= size:
        low: i64 = key[at] | key[at + 1] << 8
        word: i64 = (low | key[at + 2] << 16 | key[at + 3] << 24) * FACTOR & WORD
        word = (word ^ word >> 24) * FACTOR & WORD
        found = found * FACTOR & WORD ^ word
        at += 4
    if at < size:
        shift: i64 = 0
        while at < size:
            found ^= key[at] << shift
            at += 1
            shift += 8
        found = found * FACTOR & WORD
    found = (found ^ found >> 13) * FACTOR & WORD
    return int(found ^ found >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    return (murmur2(key) & POSITIVE) % partitions
