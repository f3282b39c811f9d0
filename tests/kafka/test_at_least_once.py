"""Without transactions, on a real broker: outputs may come again, the state is exact, nothing is missing."""

import random
import signal
import time
from collections.abc import Iterator

import pytest

from streams.dev.broker import Broker
from streams.runtime.position import POSITION_KEY, STAGED_MARK
from tests.kafka.toy import Toy

pytestmark = pytest.mark.kafka

ACKED = {"guarantee": "at_least_once", "flush_interval_ms": 20}
SMALL_BATCHES = {**ACKED, "batch_bytes_max": 150}
"""A flush of all keys needs several batches."""


@pytest.fixture
def toy(kafka: Broker, topic_prefix: str) -> Iterator[Toy]:
    deployment = Toy(kafka.bootstrap, topic_prefix)
    deployment.create_topics()
    yield deployment
    deployment.end()


@pytest.mark.parametrize("options", [ACKED, SMALL_BATCHES], ids=["one batch a flush", "staged flushes"])
def test_kills_at_random_moments_lose_nothing_and_repeat_outputs_only(toy: Toy, options: dict[str, object]) -> None:
    rng = random.Random(20261122)
    with toy.producing(per_second=4_000):
        for _ in range(4):
            worker = toy.worker(instance_id="only", **options)
            worker.ready()
            time.sleep(rng.uniform(0.05, 1.0))
            worker.kill()
            worker.wait()
        last = toy.worker(instance_id="only", **options)
        last.ready()
    toy.wait_until_seen()
    last.kill(signal.SIGTERM)
    assert last.wait() == 0
    toy.assert_exact_once_seen()
    assert toy.state() == {key: b"%d" % count for key, count in toy.produced.items()}
    assert any(key[:1] == STAGED_MARK for key, _ in toy.read("changelog")) == (options is SMALL_BATCHES)


def test_a_zombie_finds_out_before_it_sends(toy: Toy) -> None:
    with toy.producing(per_second=2_000):
        zombie = toy.worker(instance_id="same", guarantee="at_least_once", flush_interval_ms=5_000)
        zombie.ready()
        time.sleep(0.5)  # the first flush has come at once; by now there is more that was not flushed
        zombie.kill(signal.SIGSTOP)
        successor = toy.worker(instance_id="same", **ACKED)
        successor.ready()
        time.sleep(6)
        zombie.kill(signal.SIGCONT)
        assert zombie.wait() == 70
        assert successor.running
    toy.wait_until_seen()
    successor.kill(signal.SIGTERM)
    assert successor.wait() == 0
    assert "instance_replaced" in zombie.log or "does not know this worker" in zombie.log
    toy.assert_exact_once_seen()
    assert all(len(repeats) <= 1 for repeats in toy.repeats().values())


def test_partitions_move_between_live_workers_without_a_repeat(toy: Toy) -> None:
    with toy.producing(per_second=3_000):
        first = toy.worker(**ACKED)
        first.ready()
        second = toy.worker(**ACKED)
        second.ready()
        first.ready()
        time.sleep(0.5)
        first.kill(signal.SIGTERM)
        assert first.wait() == 0
        second.ready()
    toy.wait_until_done()
    toy.assert_exact()


def test_a_deployment_changes_its_guarantee_between_two_starts(toy: Toy) -> None:
    for guarantee in ("exactly_once", "at_least_once", "exactly_once"):
        toy.produce(500)
        worker = toy.worker(guarantee=guarantee)
        worker.ready()
        toy.wait_until_done()
        worker.kill(signal.SIGTERM)
        assert worker.wait() == 0
    toy.assert_exact()
    assert toy.read("changelog")[-1][0] == POSITION_KEY
