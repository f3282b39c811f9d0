"""Fetched records as the client's C extension made them.

The stock consumer copies each record into a ``ConsumerRecord``; that copy took 21 % of a busy worker's time and adds
nothing that a stage reads. The fetcher keeps what it has fetched on a shelf, ``_records``; the shelf here tells each
item, as it is put there, to hand out its records as they are. It belongs to one consumer: no other one is changed.
Pinned to aiokafka 0.14.0; ``tests/unit/runtime/test_raw_records.py`` notices when a new version moves the seam.
"""

from collections import OrderedDict
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import FetchResult


def _as_it_is(_tp: Any, record: Any) -> Any:
    return record


class RawShelf(OrderedDict[Any, Any]):
    def __setitem__(self, tp: Any, result: Any) -> None:
        if isinstance(result, FetchResult):
            result._partition_records._consumer_record = _as_it_is  # noqa: SLF001 - the seam
        super().__setitem__(tp, result)


class RawConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose records have ``offset``, ``timestamp``, ``key``, ``value`` and ``headers``, nothing else."""

    async def start(self) -> None:
        await super().start()
        self._fetcher._records = RawShelf(self._fetcher._records)  # noqa: SLF001 - the seam
