"""Fetched records as the client's C extension made them, and none that cannot be read.

The stock consumer copies each record into a ``ConsumerRecord``; that copy took 21 % of a busy worker's time and adds
nothing that a stage reads. And it stops for ever at a record that it cannot read (``batches.py``). The fetcher keeps
what it has fetched on a shelf, ``_records``; the shelf here tells each item, as it is put there, to hand out its
records as they are, and to read them from the very bytes of the response (``RawResponses``).

All of it belongs to one consumer: no other one is changed. Pinned to aiokafka 0.14.0;
``tests/unit/runtime/test_raw_records.py`` notices when a new version moves the seam.
"""

import asyncio
from collections import OrderedDict
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.protocol.fetch import FetchRequest

from streams.runtime.batches import Batches
from streams.runtime.trickle import Trickle
from streams.runtime.unpack import Unpacker


def _as_it_is(_tp: Any, record: Any) -> Any:
    return record


class RawResponses:
    """The bytes of the fetch response that is being looked at; the client's reader of them keeps its own hidden.

    Fetches go through here, so here is also where one waits its turn (``trickle.py``). It may be cancelled meanwhile,
    as it may while it waits for its answer.
    """

    def __init__(self, client: Any, trickle: Trickle | None = None) -> None:
        self._send = client.send
        self._trickle = trickle or Trickle()
        self._latest: dict[Any, bytes] = {}
        client.send = self._sent

    async def _sent(self, node_id: Any, request: Any, **options: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await self._send(node_id, request, **options)
        wait_s = self._trickle.wait_s(node_id)
        if wait_s:
            await asyncio.sleep(wait_s)
        response = await self._send(node_id, request, **options)
        # The fetcher puts all of it on the shelf before it awaits anything, so one response at a time is enough.
        self._latest = {TopicPartition(topic, part[0]): part[-1] for topic, parts in response.topics for part in parts}
        self._trickle.brought(node_id, sum(len(raw or b"") for raw in self._latest.values()))
        return response

    def take(self, tp: Any) -> bytes:
        return self._latest.pop(tp)


class RawShelf(OrderedDict[Any, Any]):
    def __init__(self, responses: RawResponses) -> None:
        super().__init__()
        self._responses = responses
        self._unpacker = Unpacker()

    def __setitem__(self, tp: Any, result: Any) -> None:
        if isinstance(result, FetchResult):
            records = result._partition_records  # noqa: SLF001 - the seam
            records._consumer_record = _as_it_is  # noqa: SLF001
            records._records = Batches(self._responses.take(tp), self._unpacker)  # noqa: SLF001
        super().__setitem__(tp, result)


class RawConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose records have ``offset``, ``timestamp``, ``key``, ``value`` and ``headers``, nothing else."""

    async def start(self) -> None:
        responses = RawResponses(self._client)
        await super().start()
        self._fetcher._records = RawShelf(responses)  # noqa: SLF001 - the seam
