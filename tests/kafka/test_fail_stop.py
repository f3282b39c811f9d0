"""A worker that does not work ends itself and says why, and its successor resumes: each watchdog rule in its case."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.dev.broker import Broker, BrokerKind, broker_for
from streams.dev.jars import UnavailableError
from tests.kafka.toy import PARTITIONS, Toy, ToyProcess
from tests.toolchains import missing

pytestmark = pytest.mark.kafka

STALL_S = 8
SILENCE_S = 20
BUSY_MACHINE_S = 60.0
SESSION_MS = 120_000


@contextmanager
def deployed(broker: Broker, prefix: str) -> Iterator[Toy]:
    deployment = Toy(broker.bootstrap, prefix)
    deployment.create_topics()
    try:
        yield deployment
    finally:
        deployment.end()


@pytest.fixture
def toy(kafka: Broker, topic_prefix: str) -> Iterator[Toy]:
    with deployed(kafka, topic_prefix) as deployment:
        yield deployment


def require_stopped_for(worker: ToyProcess, reason: str) -> None:
    assert worker.wait(BUSY_MACHINE_S) == 70
    assert f"worker stops ({reason})" in worker.lines[-1]


def test_a_worker_whose_loop_fetches_or_agent_hang_or_whose_batches_vanish_ends_and_a_restart_resumes(
    kafka: Broker, topic_prefix: str
) -> None:
    broken = {
        "loop_stalled": {"hangs_on": "key-7"},
        "poll_stalled": {"fault": "fetches_hang"},
        "no_progress": {"fault": "agent_hangs"},
        "chain": {"fault": "batches_vanish"},
    }
    with (
        deployed(kafka, f"{topic_prefix}a.") as loop,
        deployed(kafka, f"{topic_prefix}b.") as poll,
        deployed(kafka, f"{topic_prefix}c.") as lag,
        deployed(kafka, f"{topic_prefix}d.") as chain,
    ):
        toys = dict(zip(broken, (loop, poll, lag, chain), strict=True))
        workers: dict[str, ToyProcess] = {}
        for reason, toy in toys.items():
            workers[reason] = toy.worker(instance_id="only", stall_timeout_s=STALL_S, **broken[reason])
        for reason, toy in toys.items():
            workers[reason].ready()
            toy.produce(500)
        for reason, worker in workers.items():
            require_stopped_for(worker, reason)
        for toy in toys.values():
            toy.worker(instance_id="only").ready()
        for toy in toys.values():
            toy.wait_until_done(BUSY_MACHINE_S)
            toy.assert_exact()


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """A broker to be stopped and resumed."""
    try:
        with broker_for(lambda _: None, kinds=(BrokerKind.JARS,)) as broker:
            yield broker
    except UnavailableError as error:
        missing(str(error))


def test_a_commit_that_hangs_and_a_broker_that_is_silent_end_their_workers_and_nothing_is_lost(
    own_broker: Broker,
) -> None:
    assert own_broker.process is not None
    broker_pid = own_broker.process.pid
    assert broker_pid is not None
    with deployed(own_broker, "busy.") as busy, deployed(own_broker, "idle.") as idle:
        commits = busy.worker(instance_id="only", stall_timeout_s=STALL_S)
        listens = idle.worker(instance_id="only", silence_timeout_s=SILENCE_S)
        commits.ready()
        listens.ready()
        idle.produce(100)
        with busy.producing(per_second=3_000):
            commits.wait_for_applied(1)
            time.sleep(0.5)
        busy.produce(50_000)
        os.kill(broker_pid, signal.SIGSTOP)
        try:
            require_stopped_for(commits, "commit_stuck")
            require_stopped_for(listens, "broker_silent")
        finally:
            os.kill(broker_pid, signal.SIGCONT)
        for toy in (busy, idle):
            toy.worker(instance_id="only").ready()
            toy.wait_until_done(BUSY_MACHINE_S)
            toy.assert_exact()


def test_a_rebalance_that_does_not_end_ends_the_worker(toy: Toy) -> None:
    patient = {"session_timeout_ms": SESSION_MS, "rebalance_timeout_ms": SESSION_MS}
    waits = toy.worker(silence_timeout_s=SILENCE_S, **patient)
    waits.ready()
    stopped = toy.worker(**patient)
    stopped.ready()
    stopped.kill(signal.SIGSTOP)
    toy.worker(**patient)
    require_stopped_for(waits, "rebalance_stuck")


def test_sigterm_under_load_commits_and_leaves_within_ten_seconds(toy: Toy) -> None:
    toy.produce(150_000)
    worker = toy.worker(session_timeout_ms=SESSION_MS)
    worker.ready()
    worker.wait_for_applied(1)
    with toy.producing(per_second=4_000):
        began = time.monotonic()
        worker.kill(signal.SIGTERM)
        assert worker.wait() == 0
        took_s = time.monotonic() - began
        # It has left the group: nobody waits for its session to end.
        assert toy.worker(session_timeout_ms=SESSION_MS).ready() == list(range(PARTITIONS))
    assert took_s < 10
    assert "everything applied is committed" in worker.log
    toy.wait_until_done(BUSY_MACHINE_S)
    toy.assert_exact()


def test_signals_end_a_worker_whose_loop_hangs(toy: Toy) -> None:
    toy.produce(500)
    asked_once = toy.worker(hangs_on="key-7", shutdown_timeout_s=2)
    asked_once.wait_for("ready: partitions")
    time.sleep(1)
    asked_once.kill(signal.SIGTERM)
    require_stopped_for(asked_once, "shutdown_stuck")

    asked_twice = toy.worker(hangs_on="key-7", shutdown_timeout_s=300)
    asked_twice.wait_for("ready: partitions")
    time.sleep(1)
    asked_twice.kill(signal.SIGTERM)
    asked_twice.wait_for("SIGTERM: stopping")
    asked_twice.kill(signal.SIGTERM)
    assert asked_twice.wait(BUSY_MACHINE_S) == 128 + signal.SIGTERM


def test_of_two_workers_of_one_name_the_older_ends_and_says_so(toy: Toy) -> None:
    older = toy.worker(instance_id="twin")
    older.ready()
    newer = toy.worker(instance_id="twin")
    assert newer.ready() == list(range(PARTITIONS))
    require_stopped_for(older, "instance_replaced")
    assert "another process has joined the group as instance_id twin; this one, the older, ends" in older.lines[-1]
    toy.produce(1_000)
    toy.wait_until_done(BUSY_MACHINE_S)
    toy.assert_exact()
    assert newer.running
