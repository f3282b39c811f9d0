"""Record batches built by hand, byte by byte, and sent as they are: what no client library would write."""

import gzip
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

NO_PRODUCER: Final = (-1, -1, -1)
GZIP: Final = 1
ZSTD: Final = 4
HeaderBytes = Sequence[tuple[bytes, bytes | None]]


def varint(value: int) -> bytes:
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while True:
        zigzag, low = zigzag >> 7, zigzag & 0x7F
        if not zigzag:
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)


def sized(raw: bytes | None) -> bytes:
    return varint(-1) if raw is None else varint(len(raw)) + raw


def record(number: int, key: bytes | None, value: bytes | None, headers: HeaderBytes = ()) -> bytes:
    body = b"\x00" + varint(0) + varint(number) + sized(key) + sized(value) + varint(len(headers))
    body += b"".join(sized(name) + sized(content) for name, content in headers)
    return varint(len(body)) + body


def batch(payload: bytes, count: int, at_ms: int, codec: int = 0) -> bytes:
    """A batch of magic 2 around records that are, or are not, what they should be; its CRC is right."""
    tail = struct.pack(">hiqqqhii", codec, count - 1, at_ms, at_ms, *NO_PRODUCER, count) + payload
    head = struct.pack(">ibI", -1, 2, calc_crc32c(tail))
    return struct.pack(">qi", 0, len(head) + len(tail)) + head + tail


def zipped(*records: bytes) -> bytes:
    return gzip.compress(b"".join(records), 9)


class Wire:
    """A connection that sends batches as they are."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, topic: str, partition: int, raw: bytes) -> int:
        """The broker's error code."""
        await self._client.set_topics([topic])
        leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        assert leader is not None
        response = await self._client.send(leader, ProduceRequest(None, -1, 10_000, [(topic, [(partition, raw)])]))
        return int(response.topics[0][1][0][1])


@asynccontextmanager
async def wire(bootstrap: str) -> AsyncIterator[Wire]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        yield Wire(client)
    finally:
        await client.close()
