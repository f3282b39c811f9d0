"""Workers that count, while workers, brokers and the network break: each record counts once, and in its order.

The totals are checked against the input topic itself, key by key and offset by offset (`counting`).
"""

import time
import uuid
from pathlib import Path

import pytest

from tests.chaos.conftest import World
from tests.chaos.counting import Counting, Feed
from tests.chaos.crew import Crew
from tests.chaos.schedule import CLUSTER_KINDS, WORKER_KINDS, Kind, Mix, Range, each, schedule
from tests.chaos.storm import Storm, note

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3_600)]

SETTLED_WITHIN_S = 240.0
SHORT = (
    Mix(each(WORKER_KINDS), steps=len(WORKER_KINDS), pause_s=Range(0.1, 1.0)),
    Mix(each(CLUSTER_KINDS), steps=len(CLUSTER_KINDS), pause_s=Range(0.1, 1.0)),
)
LONG = (
    Mix({**each(WORKER_KINDS), Kind.KILL: 4}, steps=77, pause_s=Range(0.1, 3.0)),
    Mix({**each(CLUSTER_KINDS, 2), Kind.BROKER_KILL: 3}, steps=30, pause_s=Range(0.1, 3.0)),
)
RATE_SHORT, RATE_LONG = 1_500, 800


def test_what_a_cluster_that_loses_servers_and_workers_counts_is_what_its_log_says(
    cluster: World, tmp_path: Path, seed: int, *, long_form: bool
) -> None:
    weather = schedule(seed, *(LONG if long_form else SHORT))
    counting = Counting(
        cluster.bootstrap, cluster.door, f"c{uuid.uuid4().hex[:8]}.", cluster.copies, cluster.copies_min
    )
    counting.create_topics()
    feed, crew = Feed(counting), counting.crew(tmp_path)
    storm = Storm(crew, ["toy"], cluster.brokers, cluster.proxies, posts_min=2)
    try:
        for name in ("toy-1", "toy-2", "toy-3"):
            crew.add(name)
        began = time.monotonic()
        with feed.running(RATE_LONG if long_form else RATE_SHORT):
            crew.wait_for_line("toy-1", "ready: partitions", 0, 60)
            storm.run(weather)
            storm.await_calm()
        require_exact(counting, feed, crew)
        report(storm, crew, time.monotonic() - began)
    finally:
        crew.end()


def require_exact(counting: Counting, feed: Feed, crew: Crew) -> None:
    counting.wait_until_done(SETTLED_WITHIN_S, lambda: crew.logs)
    crew.require_expected_ends()
    verdict = counting.verdict()
    assert not verdict.wrong, "\n".join((*verdict.wrong[:5], crew.logs))
    assert not feed.refused
    assert verdict.outputs == verdict.inputs
    assert verdict.inputs == feed.acknowledged, "the brokers lost or repeated what they had acknowledged"
    note(f"{verdict.inputs} records counted once, {verdict.aborted} outputs aborted")


def report(storm: Storm, crew: Crew, seconds: float) -> None:
    kinds = ", ".join(f"{kind} {times}" for kind, times in sorted(storm.done.items()))
    note(
        f"{storm.kills} kills, {storm.zombies} zombies (ends of the replaced: {dict(crew.zombie_ends)}), "
        f"{crew.starts} starts, ends {dict(crew.ends)}, {seconds:.0f} s; {kinds}"
    )
