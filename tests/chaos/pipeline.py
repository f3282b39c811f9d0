"""The product under chaos: intake and engagement over real events, and the verdict from the logs themselves.

Theory of operation. Three comparisons, each of logs with logs, after the last worker has left in good order:

* intake: every event that producers sent stands in the account log exactly once, or in the dead letters;
* engagement: the transitions, account by account, are those of a pure replay of the account log, numbered 1 to n in the
  order in which they stand in the topic;
* the membership topic's latest records are where these transitions lead.
"""

import gzip
import json
import re
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from streams.dumping import TopicReader
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs
from tests.chaos.crew import JOINED, Crew
from tests.chaos.worlds import World
from tests.kafka.test_pipeline import EVENTS, Transitions, by_account, require_equal, written
from tests.kafka.workers import PEGEL, environment, pegel, readiness_at

CHUNK_LINES: Final = 4_000
PACE: Final = {
    # A machine that is busy with all this may starve a worker for longer than one that hangs should live.
    "PEGEL_RUNTIME__STALL_TIMEOUT_S": "300",
    # Thirteen years in steps of a month: aligned by the day they would take thousands of flushes.
    "PEGEL_INTAKE__ALIGNMENT_MS": str(30 * 86_400_000),
}
POLL_S: Final = 0.5
STILL_LOOKS: Final = 3
ADDRESS: Final = r'"address":"(http://[^"]+)"'


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Topics of its own, for workers that come through `door` and a test that does not (`settings`)."""

    settings: Settings
    door: str
    catalog: str
    clock: str
    more: Mapping[str, str]

    def create_topics(self) -> None:
        TopicAdmin(self.settings.kafka).apply(specs(self.settings))

    def command_of(self, name: str) -> tuple[Sequence[str], Mapping[str, str]]:
        """Workers that were there from the start are static members, those that join are not."""
        stage = name.partition("-")[0]
        through_door = self.settings.kafka.model_copy(update={"bootstrap": self.door})
        more = {
            "PEGEL_ENGAGEMENT__CATALOG": self.catalog,
            "PEGEL_ENGAGEMENT__CLOCK": self.clock,
            **PACE,
            **self.more,
        }
        static = [] if JOINED in name else ["--instance-id", name]
        return [*PEGEL, "worker", stage, "--port", "0", *static], environment(
            self.settings.model_copy(update={"kafka": through_door}), more
        )

    def crew(self, folder: Path) -> Crew:
        return Crew(self.command_of, folder)

    def publish(self, lines: Sequence[bytes]) -> None:
        done = pegel(self.settings, "publish", "-", "--key", "user", stdin=b"".join(lines))
        assert done.returncode == 0, done.stderr.decode()

    @contextmanager
    def publishing(self, lines_max: int, pause_s: float) -> Iterator[None]:
        """Real events in the background, piece by piece; all are published when the block is left."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with gzip.open(EVENTS) as lines:
                    wanted = islice(lines, lines_max)
                    while chunk := list(islice(wanted, CHUNK_LINES)):
                        self.publish(chunk)
                        time.sleep(pause_s)
            except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
                failures.append(error)

        thread = threading.Thread(target=work, name="publishing", daemon=True)
        thread.start()
        yield
        thread.join()
        if failures:
            raise failures[0]

    def wait_until_done(self, crew: Crew, timeout_s: float) -> None:
        """Wait until intake has passed everything on, and no worker has anything left to read."""
        deadline = time.monotonic() + timeout_s
        still = 0
        while still < STILL_LOOKS:
            time.sleep(POLL_S)
            still = still + 1 if self._all_caught_up(crew) else 0
            assert time.monotonic() < deadline, f"not done within {timeout_s:.0f} s:\n{crew.logs}"

    def _all_caught_up(self, crew: Crew) -> bool:
        at_work: Counter[str] = Counter()
        for name in crew.names:
            page = readiness(crew, name)
            if not page.get("ready") or any(one.get("lag") != 0 for one in page["partitions"]):
                return False
            at_work[page["stage"]] += len(page["partitions"])
        return at_work == dict.fromkeys((name.partition("-")[0] for name in crew.names), self.settings.kafka.partitions)

    # -- verdict -----------------------------------------------------------------------------------------------------

    def require_right(self, folder: Path) -> "Figures":
        """Compare; logs are read as streams and events told apart by hash, for there may be a million of them."""
        topics = Topics(self.settings.kafka.topic_prefix)
        log = folder / "account-events.ndjson"
        self._dump(topics.account_events, log)
        passed, controls = self._passed_on(log)
        sent = self._payloads(topics.product_events)
        assert passed + self._payloads(topics.product_events_dlq) == sent, "intake lost or repeated events"
        found = written(self.settings)
        require_equal(found, self._replayed(log))
        self._require_members(found)
        return Figures(sent.total(), controls, len(found), sum(map(len, found.values())))

    def _dump(self, topic: str, path: Path) -> None:
        with path.open("wb") as file:
            subprocess.run([*PEGEL, "dump", topic], env=environment(self.settings), stdout=file, check=True)

    def _replayed(self, log: Path) -> Transitions:
        """What a replay of the log decides; without a time limit, for the log may be long and the machine busy."""
        done = subprocess.run(
            [*PEGEL, "replay", str(log), "--catalog", self.catalog],
            env=environment(self.settings),
            stdout=subprocess.PIPE,
            check=True,
        )
        return by_account(done.stdout.splitlines())

    @staticmethod
    def _passed_on(log: Path) -> tuple[Counter[int], int]:
        """Events of the account log by hash, and how many records are not events."""
        passed: Counter[int] = Counter()
        controls = 0
        with log.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                if record["headers"]:
                    controls += 1
                else:
                    passed[hash(record["payload"].encode())] += 1
        return passed, controls

    def _payloads(self, topic: str) -> Counter[int]:
        return Counter(hash(message.value()) for message in TopicReader(self.settings.kafka, topic).records())

    def _require_members(self, found: Transitions) -> None:
        members: dict[str, dict[str, Any]] = {}
        for message in TopicReader(self.settings.kafka, Topics(self.settings.kafka.topic_prefix).membership).records():
            members[message.key().decode()] = json.loads(message.value())
        assert found.keys() <= members.keys()
        for account, member in members.items():
            transitions = found.get(account, [])
            assert member["sequence"] == len(transitions), account
            assert {one["segment"]: one["entered_at"] for one in member["segments"]} == led_to(transitions), account


def pipeline_on(
    world: World, catalog: str = "oss", clock: str = "log", more: Mapping[str, str] | None = None
) -> Pipeline:
    """A deployment with a prefix of its own; no topic exists yet."""
    kafka = KafkaSettings(
        bootstrap=world.bootstrap,
        topic_prefix=f"p{uuid.uuid4().hex[:8]}.",
        replication_factor=world.copies,
        min_insync_replicas=world.copies_min,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
        request_timeout_ms=60_000,
    )
    return Pipeline(Settings(kafka=kafka), world.door, catalog, clock, more or {})


@dataclass(frozen=True, slots=True)
class Figures:
    events: int
    controls: int
    accounts: int
    transitions: int


def led_to(transitions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The segments that an account is in after its transitions, and since when."""
    segments: dict[str, str] = {}
    for one in transitions:
        if one["direction"] != "entered":
            left = one["segment"] if one["direction"] == "exited" else one["from_segment"]
            del segments[left]
        if one["direction"] != "exited":
            segments[one["segment"]] = one["effective_at"]
    return segments


def readiness(crew: Crew, name: str) -> dict[str, Any]:
    """What a worker's /readyz says; empty where nobody answers."""
    addresses = re.findall(ADDRESS, crew.log_text(name))
    return readiness_at(addresses[-1]) if addresses else {}
