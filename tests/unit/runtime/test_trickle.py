"""What trickles in is fetched together; who has waited, or has more to fetch, does not wait."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from streams.runtime import trickle
from streams.runtime.raw_records import RawResponses
from streams.runtime.trickle import TRICKLE_BYTES, TRICKLE_S, Trickle

TP = TopicPartition("in", 0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("size", "waits"), [(0, False), (1, True), (TRICKLE_BYTES - 1, True), (TRICKLE_BYTES, False)])
def test_after_little_the_next_fetch_waits_but_not_after_nothing_or_much(size: int, *, waits: bool) -> None:
    clock = Clock()
    paced = Trickle(clock)
    paced.brought(1, size)
    assert paced.wait_s(1) == pytest.approx(TRICKLE_S if waits else 0)


def test_time_that_has_passed_was_waited_and_brokers_do_not_wait_for_each_other() -> None:
    clock = Clock()
    paced = Trickle(clock)
    paced.brought(1, 1)
    clock.now += TRICKLE_S / 4
    paced.brought(2, 1)
    assert paced.wait_s(1) == pytest.approx(TRICKLE_S * 3 / 4)
    assert paced.wait_s(3) == 0
    clock.now += 2 * TRICKLE_S
    assert paced.wait_s(2) == 0


class Client:
    """Answers every fetch with a byte, and notes when it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def send(self, node_id: int, request: Any) -> Any:
        self.asked.append(f"{type(request).__name__} {node_id}")
        return SimpleNamespace(topics=[(TP.topic, [(TP.partition, 0, 0, 0, [], b"x")])])


async def test_it_is_the_request_that_waits_and_what_came_is_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trickle, "TRICKLE_S", 60.0)
    client = Client()
    responses = RawResponses(client)
    await client.send(1, FetchRequest(0, 0, 0, 0, []))
    assert responses.take(TP) == b"x"
    second = asyncio.create_task(client.send(1, FetchRequest(0, 0, 0, 0, [])))
    await asyncio.wait([second], timeout=0.02)
    assert client.asked == ["FetchRequest 1"]
    await client.send(1, MetadataRequest([]))
    await client.send(2, FetchRequest(0, 0, 0, 0, []))
    assert client.asked == ["FetchRequest 1", "MetadataRequest 1", "FetchRequest 2"]
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
