"""Where a key belongs: murmur2, as the Java client's default partitioner has it, so that all writers agree."""

from functools import lru_cache
from typing import Final

from aiokafka.partitioner import murmur2

KEYS_REMEMBERED_MAX: Final = 65_536


@lru_cache(maxsize=KEYS_REMEMBERED_MAX)
def partition_of(key: bytes, partitions: int) -> int:
    """The pure Python hash costs some 5 us a key; keys come back often, so the last ones are remembered."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
