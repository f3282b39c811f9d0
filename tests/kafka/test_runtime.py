"""The runtime's promises on a real broker, with a stage whose right answer is known: totals 1, 2, ... n by key."""

import random
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from json import loads

import pytest

from streams.dev.broker import Broker
from tests.kafka.toy import BATCH_BYTES_MAX, PARTITIONS, Toy

pytestmark = pytest.mark.kafka


@pytest.fixture
def toy(kafka: Broker, topic_prefix: str) -> Iterator[Toy]:
    deployment = Toy(kafka.bootstrap, topic_prefix)
    deployment.create_topics()
    yield deployment
    deployment.end()


def test_kills_at_random_moments_change_nothing(toy: Toy) -> None:
    rng = random.Random(20261122)
    with toy.producing(per_second=4_000):
        for _ in range(6):
            worker = toy.worker(instance_id="only", flush_interval_ms=20)
            worker.ready()
            time.sleep(rng.uniform(0.05, 1.5))
            worker.kill()
            worker.wait()
        last = toy.worker(instance_id="only")
        last.ready()
    toy.wait_until_done()
    toy.assert_exact()
    last.kill(signal.SIGTERM)
    assert last.wait() == 0


def test_kills_while_another_worker_takes_over_change_nothing(toy: Toy) -> None:
    rng = random.Random(7)
    with toy.producing(per_second=3_000):
        stays = toy.worker(flush_interval_ms=20)
        stays.ready()
        joins = toy.worker(flush_interval_ms=20)
        joins.ready()
        time.sleep(rng.uniform(0.05, 1.0))
        joins.kill()
        assert len(stays.ready()) < PARTITIONS
        assert stays.ready() == list(range(PARTITIONS))
    toy.wait_until_done()
    toy.assert_exact()


def test_workers_that_join_and_leave_share_the_partitions_and_lose_nothing(toy: Toy) -> None:
    with toy.producing(per_second=3_000):
        first = toy.worker()
        assert first.ready() == list(range(PARTITIONS))
        second = toy.worker()
        taken, kept = second.ready(), first.ready()
        assert sorted(taken + kept) == list(range(PARTITIONS))
        assert len(taken) == len(kept)
        time.sleep(1)
        first.kill(signal.SIGTERM)
        assert first.wait() == 0
        assert second.ready() == list(range(PARTITIONS))
    toy.wait_until_done()
    toy.assert_exact()
    assert "".join(second.lines).count("loaded 2 partitions") == 2, "partitions that stay must not be loaded again"


def test_a_zombie_whose_partitions_moved_is_fenced_and_ends(toy: Toy) -> None:
    with toy.producing(per_second=3_000):
        zombie = toy.worker(flush_interval_ms=5_000)
        zombie.ready()
        time.sleep(0.5)  # the first flush has come at once; by now there is more that was not flushed
        zombie.kill(signal.SIGSTOP)
        successor = toy.worker()
        successor.ready()
        time.sleep(0.5)
        zombie.kill(signal.SIGCONT)
        assert zombie.wait() == 70
    assert "another process owns partition" in "".join(zombie.lines)
    assert "ProducerFenced" in "".join(zombie.lines)
    toy.wait_until_done()
    toy.assert_exact()


def test_sigterm_commits_everything_applied_and_leaves_within_ten_seconds(toy: Toy) -> None:
    worker = toy.worker(flush_interval_ms=5_000)
    worker.ready()
    toy.produce(1_000)  # the first flush comes at once; what follows waits for the timer
    time.sleep(0.5)
    toy.produce(1_000)
    time.sleep(0.5)
    began = time.monotonic()
    worker.kill(signal.SIGTERM)
    assert worker.wait() == 0
    assert time.monotonic() - began < 10
    toy.assert_exact()


def test_sigterm_while_state_is_loading_is_no_failure(toy: Toy) -> None:
    worker = toy.worker()
    worker.wait_for("loading partitions")
    worker.kill(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert '"level":"error"' not in "".join(line for line in worker.lines if "coordinator" not in line)


def test_a_second_signal_ends_a_worker_at_once(toy: Toy) -> None:
    worker = toy.worker()
    worker.ready()
    worker.kill(signal.SIGSTOP)  # so that both signals are there before the first is seen
    worker.kill(signal.SIGTERM)
    worker.kill(signal.SIGINT)
    worker.kill(signal.SIGCONT)
    assert worker.wait(5) in {128 + signal.SIGTERM, 128 + signal.SIGINT}


def test_a_restart_goes_on_from_restored_state(toy: Toy) -> None:
    for _ in range(2):
        toy.produce(500)
        worker = toy.worker(instance_id="only")
        worker.ready()
        toy.wait_until_done()
        worker.kill(signal.SIGTERM)
        assert worker.wait() == 0
    toy.assert_exact()
    assert re.search(r"loaded 4 partitions, [1-9]\d* rows", "".join(worker.lines))


def test_a_record_too_large_for_the_broker_ends_the_worker_and_commits_nothing_of_its_flush(toy: Toy) -> None:
    toy.produce(200)
    worker = toy.worker(large_record_bytes=2 * BATCH_BYTES_MAX)
    assert worker.wait() == 70
    assert "MessageSizeTooLarge" in "".join(worker.lines)
    assert toy.totals() == {}
    healthy = toy.worker()
    healthy.ready()
    toy.wait_until_done()
    toy.assert_exact()


def test_an_error_in_the_stage_ends_the_worker_and_a_restart_resumes(toy: Toy) -> None:
    toy.produce(2_000)
    failing = toy.worker(poison="key-7", instance_id="only")
    assert failing.wait() == 70
    assert [line for line in failing.lines if "worker stops" in line or "Traceback" in line] == failing.lines[-1:]
    healthy = toy.worker(instance_id="only")
    healthy.ready()
    toy.wait_until_done()
    toy.assert_exact()


def test_a_saturated_stage_gets_no_more_than_what_is_under_way(toy: Toy) -> None:
    toy.produce(40_000)
    worker = toy.worker(saturated_after=1)
    address = worker.wait_for(r'"address":"([^"]+)"').group(1)
    worker.ready()
    time.sleep(3)
    applied = sum(map(len, toy.totals().values()))
    assert 0 < applied <= 3 * 1_000 * PARTITIONS
    with urllib.request.urlopen(f"{address}/readyz") as answer:
        assert loads(answer.read())["ready"] is True
    worker.kill(signal.SIGTERM)
    assert worker.wait() == 0


def test_health_pages_tell_what_a_worker_does(toy: Toy) -> None:
    toy.produce(300)
    worker = toy.worker()
    address = worker.wait_for(r'"address":"([^"]+)"').group(1)
    with urllib.request.urlopen(f"{address}/livez") as answer:
        assert answer.status == 200
    worker.ready()
    toy.wait_until_done()
    time.sleep(1.2)
    with urllib.request.urlopen(f"{address}/readyz") as answer:
        shown = loads(answer.read())
    assert [one["partition"] for one in shown["partitions"]] == list(range(PARTITIONS))
    assert all(one["lag"] == 0 for one in shown["partitions"])
    with urllib.request.urlopen(f"{address}/metrics") as answer:
        metrics = answer.read().decode()
    assert 'pegel_records_total{stage="toy"} 300.0' in metrics
    assert f'pegel_outputs_total{{stage="toy",topic="{toy.prefix}totals"}} 300.0' in metrics
    assert 'pegel_state_rows{stage="toy"} 50.0' in metrics
