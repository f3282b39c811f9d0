"""Workers of two versions at once: the one before, as it was in this repository, and the present one.

The version before is the last one that stored accounts in version 1. Its workers run from the repository's history, and
are replaced one by one under load, killed on the way, and put back. What comes out must be what a replay of the log
gives: nothing lost, nothing twice, nothing decided otherwise.
"""

import asyncio
import json
import random
import subprocess
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Self

import pytest
from confluent_kafka import Producer

from schemas.timestamps import format_ms
from streams.dev.slack import SlackStandIn
from streams.engagement import rows
from streams.engine import codec
from streams.rebuild.log import LogReader
from streams.runtime.failure import EXIT_FAILED
from streams.settings import Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics
from tests.kafka.test_pipeline import replayed, require_equal, written
from tests.kafka.workers import WorkerProcess, pegel, wait_for, wait_until_settled
from tests.toolchains import missing

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

REPOSITORY: Final = Path(__file__).parents[2]
PREVIOUS: Final = "3865c21947412f8ebfd5035c2e66db083d45b24f"
"""The last one that stored accounts in version 1."""
PREVIOUS_STATE: Final = 1

ACCOUNTS: Final = 60
EVENTS: Final = 6_000
HOUR_MS: Final = 3_600_000
BEGIN_MS: Final = 1_788_000_000_000
NAMES: Final = ("code_changed", "test_added", "docs_edited", "dependency_updated", "config_changed", "ci_configured")
PLAYBOOK: Final = """\
format: 1
name: test
destinations:
  - {id: team, type: slack, url: "${TEAM_URL}", allow_http: true, rate_per_s: 500, timeout_s: 5}
  - id: digest
    type: slack
    url: "${DIGEST_URL}"
    allow_http: true
    group: {wait_s: 86400, interval_s: 2, by: [segment], max: 60}
templates:
  plain: {title: "{{ account }} {{ sequence }}", body: "{{ segment }}"}
plays:
  - {id: all, segment: "*", template: plain, destination: team, max_age_h: 8784}
  - {id: gathered, segment: "*", template: plain, destination: digest, max_age_h: 8784}
"""


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the version before."""
    command = ["git", "-C", str(REPOSITORY), "archive", PREVIOUS, "streams", "schemas"]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        missing(
            f"the version before, {PREVIOUS[:7]}, is not here: it takes git and the whole history, no shallow clone"
        )
    tree = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    return tree


def history() -> list[tuple[str, int, bytes]]:
    """Account, arrival and event: three weeks of some dozens of accounts, some busy, some silent after a while."""
    rng = random.Random(8)
    busy = [rng.choice((1, 1, 2, 4, 9)) for _ in range(ACCOUNTS)]
    at, events = BEGIN_MS, []
    for number in range(EVENTS):
        at += rng.randrange(2 * 21 * 24 * HOUR_MS // EVENTS)
        (place,) = rng.choices(range(ACCOUNTS), busy)
        if place % 7 == 0 and number > EVENTS // 2:
            continue
        content = {
            "type": "track", "messageId": f"m{number}", "event": rng.choice(NAMES), "userId": f"u{rng.randrange(5)}",
            "timestamp": format_ms(at - rng.choice((0, 0, 1_000, HOUR_MS))), "context": {"groupId": f"account-{place}"},
        }  # fmt: skip
        record = (f"account-{place}", at, json.dumps(content).encode())
        events += [record, record] if number % 50 == 0 else [record]
    return events


class Load:
    """Publishes a history, a piece whenever it is asked and a little all the time."""

    def __init__(self, settings: Settings) -> None:
        self._topic = Topics(settings.kafka.topic_prefix).product_events
        self._producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "partitioner": "murmur2_random"})
        self._events = iter(history())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._trickle)
        self.published = 0
        self._lock = threading.Lock()

    def publish(self, count: int) -> bool:
        with self._lock:
            for _ in range(count):
                one = next(self._events, None)
                if one is None:
                    return False
                account, at, value = one
                self._producer.produce(self._topic, value, account.encode(), timestamp=at)
                self.published += 1
            assert self._producer.flush(30) == 0
        return True

    def _trickle(self) -> None:
        while self.publish(10) and not self._ended.wait(0.05):
            pass

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def finish(self) -> None:
        while self.publish(500):
            pass


class Crew:
    """Workers by name, each of which may be of either version."""

    def __init__(self, settings: Settings, folder: Path, previous: Path, more: dict[str, str]) -> None:
        self._settings, self._folder, self._previous, self._more = settings, folder, previous, more
        self.workers: dict[str, WorkerProcess] = {}

    def start(self, name: str, *, old: bool = False, state_version: int | None = None) -> WorkerProcess:
        stage = name.split("-", maxsplit=1)[0]
        worker = self.workers.get(name)
        if worker is None:
            worker = self.workers[name] = WorkerProcess(stage, self._settings, self._folder, {}, name)
        more = dict(self._more)
        if state_version is not None:
            more["PEGEL_ENGAGEMENT__STATE_VERSION"] = str(state_version)
        worker.start(self._previous if old else REPOSITORY, more)
        return worker

    def ready(self, *names: str) -> None:
        wanted = [self.workers[name] for name in names]
        for one in wanted:
            wait_for(lambda one=one: one.readiness().get("ready") is True, one)  # type: ignore[misc]

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()


@contextmanager
def crew(settings: Settings, folder: Path, previous: Path, more: dict[str, str]) -> Iterator[Crew]:
    catalog = {"PEGEL_ENGAGEMENT__CATALOG": "oss", "PEGEL_ENGAGEMENT__CLOCK": "log", "PEGEL_INTAKE__ALIGNMENT_MS": "0"}
    found = Crew(settings, folder, previous, catalog | more)
    try:
        yield found
    finally:
        found.stop()


def latest_rows(settings: Settings, topic: str, prefix: bytes) -> list[bytes]:
    """What a changelog says of all keys that begin so."""
    latest: dict[bytes, bytes | None] = {}
    with LogReader(settings.kafka) as reader:
        for partition in range(settings.kafka.partitions):
            extent = reader.extent(topic, partition)
            for record in reader.records(topic, partition, extent.begin, extent.end):
                if (key := record.key or b"").startswith(prefix):
                    latest[key] = record.value
    return [row for row in latest.values() if row is not None]


def stored_versions(settings: Settings) -> Counter[int]:
    """How many accounts are stored in which version."""
    topic = Topics(settings.kafka.topic_prefix).accounts_changelog
    return Counter(map(codec.version_of, latest_rows(settings, topic, rows.ACCOUNT)))


def waiting(settings: Settings, destination: str) -> int:
    """How many news wait for their group, as the courier's state has it."""
    topic = Topics(settings.kafka.topic_prefix).deliveries_changelog
    return len(latest_rows(settings, topic, f"p:{destination}:w/".encode()))


def catch_up(found: Crew, load: Load) -> None:
    """Publish the rest, and wait until it is through."""
    load.finish()
    engagement = [worker for name, worker in found.workers.items() if name.startswith("engagement")]
    wait_until_settled(found.workers["intake"], load.published)
    for worker in engagement:
        wait_until_settled(worker, 1)


def holds(worker: WorkerProcess, partitions: int) -> bool:
    ready = worker.readiness()
    return ready.get("ready") is True and len(ready["partitions"]) == partitions


def require_what_the_log_gives(settings: Settings) -> list[dict[str, Any]]:
    """That what was written is what a replay of the log gives, each transition once; the transitions."""
    dump = pegel(settings, "dump", "account.events.v1").stdout
    found = written(settings)
    require_equal(found, replayed(settings, "-", "--catalog", "oss", stdin=dump))
    return [one for transitions in found.values() for one in transitions]


async def test_all_stages_go_from_the_version_before_to_this_one_under_load_and_nobody_can_tell(
    deployment: Settings, previous: Path, tmp_path: Path
) -> None:
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK)
    async with (
        SlackStandIn(rate_limited=False, kept_max=100_000) as team,
        SlackStandIn(rate_limited=False, kept_max=1_000) as digest,
    ):
        more = {
            "PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"), "TEAM_URL": team.url(),
            "DIGEST_URL": digest.url(),
        }  # fmt: skip

        def run() -> None:
            with crew(deployment, tmp_path, previous, more) as found:
                with Load(deployment) as load:
                    roll(deployment, found, load)
                    catch_up(found, load)
                told = [one for one in require_what_the_log_gives(deployment) if one["direction"] != "exited"]
                assert len(told) > ACCOUNTS
                wait_for(lambda: len(team.messages) >= len(told), found.workers["courier"])
                wait_for(lambda: waiting(deployment, "digest") == len(told), found.workers["courier"])
            assert len({message.delivery_id for message in team.messages}) == len(team.messages) == len(told)
            assert not digest.messages, "what waits for a group goes on waiting"

        await asyncio.to_thread(run)


def roll(settings: Settings, found: Crew, load: Load) -> None:
    """Whoever reads a topic before whoever writes it; engagement writes what the version before can read."""
    everybody = ("intake", "engagement-0", "engagement-1", "router", "courier")
    for name in everybody:
        found.start(name, old=True)
    found.ready(*everybody)
    load.publish(1_000)

    found.workers["engagement-1"].kill()
    for name in ("courier", "router"):
        found.workers[name].stop()
        found.start(name)
    found.workers["engagement-0"].kill()
    found.start("engagement-0", state_version=PREVIOUS_STATE)
    wait_for(lambda: holds(found.workers["engagement-0"], settings.kafka.partitions), found.workers["engagement-0"])
    load.publish(500)
    # A worker of the version before gets partitions that one of this version has written to.
    found.start("engagement-1", old=True)
    wait_for(lambda: holds(found.workers["engagement-1"], settings.kafka.partitions // 2))
    load.publish(500)
    found.workers["engagement-1"].kill()
    found.start("engagement-1", state_version=PREVIOUS_STATE)
    found.workers["intake"].kill()
    found.start("intake")
    found.ready(*everybody)
    assert stored_versions(settings).keys() == {PREVIOUS_STATE}

    for name in ("engagement-0", "engagement-1"):
        found.workers[name].stop()
        found.start(name)
    found.ready(*everybody)
    wait_for(lambda: stored_versions(settings).keys() == {codec.VERSION})


def test_whoever_goes_back_after_the_upgrade_has_ended_stops_and_loses_nothing_and_a_rebuild_leads_back(
    deployment: Settings, previous: Path, tmp_path: Path
) -> None:
    changelog = Topics(deployment.kafka.topic_prefix).accounts_changelog
    with crew(deployment, tmp_path, previous, {}) as found:
        with Load(deployment) as load:
            for name in ("intake", "engagement-0"):
                found.start(name)
            found.ready("intake", "engagement-0")
            load.publish(1_000)
            wait_for(lambda: len(stored_versions(deployment)) > 0)
            found.workers["engagement-0"].stop()
            found.start("engagement-0", old=True)
            assert found.workers["engagement-0"].wait(60) == EXIT_FAILED
            assert "StateError" in found.workers["engagement-0"].log()

            TopicAdmin(deployment.kafka).delete([changelog])
            for command in (("topics", "apply"), ("rebuild", "--yes", "--wait", "60")):
                done = pegel(deployment, *command, tree=previous)
                assert done.returncode == 0, done.stderr.decode()
            found.start("engagement-0", old=True)
            found.ready("engagement-0")
            catch_up(found, load)
        assert stored_versions(deployment).keys() == {PREVIOUS_STATE}
        assert len(require_what_the_log_gives(deployment)) > ACCOUNTS
