"""Everything breaks - workers, brokers, the network, a disk - and what is written is what the logs say.

Three deployments at once on a cluster of three: workers that count, for volume and for an answer that is checked record
by record (`counting`), the product itself over real events, checked against a replay (`pipeline`), and the notifier, by
what arrives where it tells (`telling`).
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.counting import Counting, Feed
from tests.chaos.crew import Crew
from tests.chaos.disk import small_disk
from tests.chaos.pipeline import Pipeline, pipeline_on
from tests.chaos.schedule import CLUSTER_KINDS, WORKER_KINDS, Kind, Mix, Range, each, schedule
from tests.chaos.storm import SERVER_TIMEOUT_S, BrokersLane, Network, WorkersLane, note, run_lanes, timed
from tests.chaos.telling import DESTINATIONS, Telling, telling_on
from tests.chaos.worlds import Java, World, world

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3_600)]

SETTLED_WITHIN_S = 600.0
READY_WITHIN_S = 300.0
DISK_MB = 48
FULL_FOR_S = 3.0
NEWS_PER_SECOND = 5.0


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything."""

    counters: Mix
    pipeline: Mix
    notifier: Mix
    brokers: Mix
    records_per_second: int
    events: int
    publish_pause_s: float


SHORT = Form(
    Mix(each(WORKER_KINDS), steps=8, pause_s=Range(0.1, 0.5)),
    Mix(each((Kind.KILL, Kind.KILL_IN_FLUSH, Kind.ZOMBIE_EXPIRED, Kind.LEAVE, Kind.JOIN)), 5, Range(0.5, 2.0)),
    Mix(each((Kind.KILL, Kind.KILL_IN_FLUSH, Kind.ZOMBIE_REPLACED, Kind.LEAVE)), 4, Range(2.0, 4.0)),
    Mix({kind: 1 for kind in CLUSTER_KINDS if kind is not Kind.BROKER_STOP}, 6, Range(0.1, 1.0)),
    records_per_second=1_000,
    events=10_000,
    publish_pause_s=2.0,
)
LONG = Form(
    Mix({**each(WORKER_KINDS, 2), Kind.KILL: 6}, steps=60, pause_s=Range(0.1, 3.0)),
    Mix({**each(WORKER_KINDS), Kind.KILL: 3}, steps=30, pause_s=Range(1.0, 6.0)),
    Mix({**each(WORKER_KINDS), Kind.KILL: 3}, steps=30, pause_s=Range(1.0, 6.0)),
    Mix({**each(CLUSTER_KINDS, 2), Kind.BROKER_KILL: 3}, steps=30, pause_s=Range(0.1, 3.0)),
    records_per_second=800,
    events=44_719,
    publish_pause_s=8.0,
)


def test_whatever_breaks_what_is_written_is_what_the_logs_say(
    cluster: World, tmp_path: Path, seed: int, *, long_form: bool
) -> None:
    form = LONG if long_form else SHORT
    counting, pipeline = counting_on(cluster), pipeline_on(cluster)
    pipeline.create_topics()
    feed, network, began = Feed(counting), Network(cluster.proxies), time.monotonic()
    with (
        telling_on(cluster, tmp_path, seed) as telling,
        ended(counting.crew(tmp_path)) as counters,
        ended(pipeline.crew(tmp_path)) as stages,
        ended(telling.pipeline.crew(tmp_path)) as tellers,
    ):
        telling.pipeline.create_topics()
        for crew, names in (
            (counters, ("toy-1", "toy-2", "toy-3")),
            (stages, ("intake-1", "engagement-1", "engagement-2")),
            (tellers, ("router-1", "courier-1", "courier-2")),
        ):
            for name in names:
                crew.add(name)
        lanes = {
            "counters": WorkersLane(counters, ["toy"], network, posts_min=2),
            "stages": WorkersLane(stages, ["intake", "engagement"], network, posts_max=2),
            "tellers": WorkersLane(tellers, ["router", "courier"], network, posts_max=2),
        }
        with feed.running(form.records_per_second), pipeline.publishing(form.events, form.publish_pause_s):
            require_ready(counters, stages, tellers)
            note(f"ready after {time.monotonic() - began:.0f} s")
            with telling.news(NEWS_PER_SECOND):
                done = run_lanes(
                    (BrokersLane(cluster.brokers, network), schedule(seed, form.brokers)),
                    (lanes["counters"], schedule(seed + 1, form.counters)),
                    (lanes["stages"], schedule(seed + 2, form.pipeline)),
                    (lanes["tellers"], schedule(seed + 3, form.notifier)),
                )
            for lane in lanes.values():
                lane.await_calm()
            note(f"the storm is over after {time.monotonic() - began:.0f} s")
        require_exact(counting, feed, counters)
        require_told(telling, tellers)
        require_as_replayed(pipeline, stages, tmp_path)
        for lane, crew in zip(lanes.values(), (counters, stages, tellers), strict=True):
            report(lane, crew)
        note(f"{time.monotonic() - began:.0f} s; " + ", ".join(f"{kind} {n}" for kind, n in sorted(done.items())))


@pytest.mark.parametrize("servers", [1, 3])
def test_a_server_whose_disk_is_full_loses_nothing_and_goes_on_when_it_has_space_again(
    java: Java, tmp_path: Path, servers: int, *, long_form: bool
) -> None:
    if servers > 1 and not long_form:
        pytest.skip("in the long form only: it starts a second cluster")
    with small_disk(tmp_path / "server-1" / "log", DISK_MB) as disk, world(java, tmp_path, servers) as brokers:
        counting = counting_on(brokers)
        server = brokers.brokers.servers[0]
        feed = Feed(counting)
        with ended(counting.crew(tmp_path)) as crew:
            crew.add("toy-1")
            crew.add("toy-2")
            with feed.running(LONG.records_per_second):
                require_ready(crew)
                disk.fill()
                assert server.wait(SERVER_TIMEOUT_S) is not None, (
                    "a broker whose disk is full goes on, and nobody knows how"
                )
                note(f"a full disk has ended a server; {feed.acknowledged} records until then")
                time.sleep(FULL_FOR_S)
                disk.give_back()
                server.start(SERVER_TIMEOUT_S)
                brokers.brokers.await_in_sync()
                time.sleep(1)
            require_exact(counting, feed, crew)


@contextmanager
def ended(crew: Crew) -> Iterator[Crew]:
    """Nobody of a crew outlives its test."""
    try:
        yield crew
    finally:
        crew.end()


def counting_on(world: World) -> Counting:
    counting = Counting(world.bootstrap, world.door, f"c{uuid.uuid4().hex[:8]}.", world.copies, world.copies_min)
    counting.create_topics()
    return counting


def require_ready(*crews: Crew) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    for crew in crews:
        for name in crew.names:
            while not crew.wait_for_line(name, "ready: partitions", 0, 1):
                crew.require_expected_ends()
                assert time.monotonic() < deadline, crew.log(name)


def require_exact(counting: Counting, feed: Feed, crew: Crew) -> None:
    with timed("counted to the end"):
        counting.wait_until_done(SETTLED_WITHIN_S, lambda: crew.logs)
    crew.require_expected_ends()
    verdict = counting.verdict()
    assert not verdict.wrong, "\n".join((*verdict.wrong[:5], crew.logs))
    assert not feed.refused
    assert verdict.outputs == verdict.inputs
    assert verdict.inputs == feed.acknowledged, "the brokers lost or repeated what they had acknowledged"
    note(f"{verdict.inputs} records counted once; {verdict.aborted} outputs stood in transactions that were aborted")


def require_told(telling: Telling, crew: Crew) -> None:
    with timed("told to the end"):
        telling.wait_until_told(crew)
        telling.pipeline.wait_until_done(crew, SETTLED_WITHIN_S)
    for name in crew.names:
        crew.leave(name)
    crew.require_expected_ends()
    repeats = telling.require_right(crew.moments)
    note(f"{len(telling.told)} transitions told to each of {len(DESTINATIONS)} destinations, {repeats} messages again")


def require_as_replayed(pipeline: Pipeline, crew: Crew, folder: Path) -> None:
    with timed("worked off to the end"):
        pipeline.wait_until_done(crew, SETTLED_WITHIN_S)
    for name in crew.names:
        crew.leave(name)
    crew.require_expected_ends()
    figures = pipeline.require_right(folder)
    note(
        f"{figures.events} events and {figures.controls} control records; {figures.transitions} transitions of "
        f"{figures.accounts} accounts as replayed"
    )


def report(lane: WorkersLane, crew: Crew) -> None:
    note(
        f"{lane.kills} kills, {lane.zombies} zombies, {crew.starts} starts; "
        f"ends {dict(crew.ends)}, of replaced zombies {dict(crew.zombie_ends)}"
    )
