"""Without transactions, on a real broker: outputs may come again, the state is exact, nothing is missing."""

import gzip
import json
import random
import signal
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from streams.dev.broker import Broker
from streams.runtime.options import Guarantee
from streams.runtime.position import POSITION_KEY, STAGED_MARK
from streams.settings import RuntimeSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import specs
from tests.kafka.test_pipeline import EVENTS, by_account, dumped, replayed, require_equal
from tests.kafka.toy import Toy
from tests.kafka.workers import pegel, wait_until_settled, workers

pytestmark = pytest.mark.kafka

ACKED = {"guarantee": "at_least_once", "flush_interval_ms": 20}
SMALL_BATCHES = {**ACKED, "batch_bytes_max": 200}
"""A flush of all keys needs several batches."""


@pytest.fixture
def toy(kafka: Broker, topic_prefix: str) -> Iterator[Toy]:
    deployment = Toy(kafka.bootstrap, topic_prefix)
    deployment.create_topics()
    yield deployment
    deployment.end()


# Outputs go in batches as small, one after the other: that is slow.
@pytest.mark.parametrize(
    ("options", "per_second"), [(ACKED, 4_000), (SMALL_BATCHES, 1_000)], ids=["one batch a flush", "staged flushes"]
)
def test_kills_at_random_moments_lose_nothing_and_repeat_outputs_only(
    toy: Toy, options: dict[str, object], per_second: int
) -> None:
    rng = random.Random(20261122)
    with toy.producing(per_second=per_second):
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


PUBLISHED = 6_000


def first_seen(settings: Settings) -> list[dict[str, Any]]:
    """What a reader has who drops each transition whose id it knows, in order; a repeat must say the same."""
    seen: dict[str, dict[str, Any]] = {}
    for record in dumped(settings, "segments.transitions.v1"):
        transition = json.loads(record["payload"])
        transition.pop("emitted_at")
        assert seen.setdefault(transition["transition_id"], transition) == transition
    return list(seen.values())


def test_what_a_killed_engagement_worker_wrote_is_the_replay_to_a_reader_that_drops_repeats(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    acked = RuntimeSettings(guarantee=Guarantee.AT_LEAST_ONCE)
    settings = kafka_settings.model_copy(update={"runtime": acked})
    TopicAdmin(settings.kafka).apply(specs(settings))
    more = {
        "PEGEL_RUNTIME__GUARANTEE": "at_least_once",
        "PEGEL_ENGAGEMENT__CATALOG": "oss",
        "PEGEL_ENGAGEMENT__CLOCK": "log",
        "PEGEL_INTAKE__ALIGNMENT_MS": "0",
    }
    with gzip.open(EVENTS) as lines, workers(settings, tmp_path, more, "intake", "engagement") as running:
        published = pegel(settings, "publish", "-", "--key", "account", stdin=b"".join(islice(lines, PUBLISHED)))
        assert published.returncode == 0, published.stderr.decode()
        for stage in ("engagement", "intake", "engagement"):
            time.sleep(0.5)
            running[stage].kill()
            running[stage].start()
        wait_until_settled(running["intake"], PUBLISHED)
        wait_until_settled(running["engagement"], PUBLISHED)

    dump = pegel(settings, "dump", "account.events.v1").stdout
    transitions = first_seen(settings)
    found = by_account(json.dumps({**one, "emitted_at": None}).encode() for one in transitions)
    for account, ordered in found.items():
        assert [one["sequence"] for one in transitions if one["account_id"] == account] == list(
            range(1, len(ordered) + 1)
        )
    require_equal(found, replayed(settings, "-", "--catalog", "oss", stdin=dump))
