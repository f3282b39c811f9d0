"""How each engine is started on the job, and where it reads and writes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.rig import PARTITIONS, ROOT, Interpreter
from streams.dev.jars import find_java
from streams.settings import KafkaSettings, Settings
from streams.topics import Topics, TopicSpec, specs

CATALOG: Final = ROOT / "benchmarks" / "ten_segments.yaml"
MAVEN_PROJECT: Final = Path(__file__).parent / "kafka_streams"
MAVEN_TIMEOUT_S: Final = 900
# The smallest cost of processor time for this job on few cores: what Java would choose by itself takes more.
JAVA_OPTIONS: Final = ("-Xmx1g", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run happens. `prefix` is before the names of all its topics and its group."""

    bootstrap: str
    prefix: str
    folder: Path

    @property
    def events(self) -> str:
        return Topics(self.prefix).account_events

    @property
    def transitions(self) -> str:
        return Topics(self.prefix).transitions

    @property
    def topics(self) -> tuple[TopicSpec, ...]:
        """All that the engines find when they start; what else they need they create themselves."""
        kafka = KafkaSettings(bootstrap=self.bootstrap, topic_prefix=self.prefix, partitions=PARTITIONS)
        return specs(Settings(kafka=kafka))


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and whose committed offsets say how far it is."""

    command: Sequence[str]
    environment: Mapping[str, str]
    group: str
    changelog: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    name: str
    guarantee: str
    state: str
    """Where it lies, and how often what changed is made durable."""
    program: Callable[[Place], Program]
    prepare: Callable[[], None] = lambda: None
    share: int = 1
    """It gets one in so many events, of as many times fewer accounts: it is too slow for all of them."""


def engines(interpreter: Interpreter) -> dict[str, Engine]:
    found = (
        _pegel(interpreter),
        Engine(
            name="faust",
            guarantee="at_least_once",
            state="memory, changelog; every event",
            program=_faust,
            share=10,
        ),
        _kafka_streams("kafka-streams", "exactly_once_v2", 100, "memory"),
        _kafka_streams("kafka-streams-at-least-once", "at_least_once", 1_000, "memory"),
        _kafka_streams("kafka-streams-rocksdb", "exactly_once_v2", 100, "rocksdb"),
    )
    return {one.name: one for one in found}


def _pegel(interpreter: Interpreter) -> Engine:
    def program(place: Place) -> Program:
        topics = Topics(place.prefix)
        environment = {
            **interpreter.environment,
            "PEGEL_KAFKA__BOOTSTRAP": place.bootstrap,
            "PEGEL_KAFKA__TOPIC_PREFIX": place.prefix,
            "PEGEL_KAFKA__PARTITIONS": str(PARTITIONS),
            "PEGEL_ENGAGEMENT__CATALOG": str(CATALOG),
            "PEGEL_ENGAGEMENT__CLOCK": "off",
        }
        command = interpreter.command("worker", "engagement", "--port", "0")
        return Program(command, environment, topics.group("engagement"), topics.accounts_changelog)

    return Engine(
        name="pegel",
        guarantee="exactly_once",
        state="memory, changelog; every 100 ms, 2 s while far behind",
        program=program,
    )


def _faust(place: Place) -> Program:
    group = f"{place.prefix}ten-segments"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COMPARISON_BOOTSTRAP": place.bootstrap,
        "COMPARISON_GROUP": group,
        "COMPARISON_EVENTS": place.events,
        "COMPARISON_TRANSITIONS": place.transitions,
        "COMPARISON_PARTITIONS": str(PARTITIONS),
        "COMPARISON_FOLDER": str(place.folder),
    }
    command = [sys.executable, "-m", "benchmarks.comparison.faust_app", "worker", "-l", "warn"]
    return Program(command, environment, group, f"{group}-accounts-changelog")


def _kafka_streams(name: str, guarantee: str, commit_ms: int, store: str) -> Engine:
    def program(place: Place) -> Program:
        group = f"{place.prefix}ten-segments"
        target = MAVEN_PROJECT / "target"
        classpath = os.pathsep.join((str(target / "classes"), str(target / "dependency" / "*")))
        command = [
            find_java(), *JAVA_OPTIONS, "-cp", classpath, "dev.pegel.comparison.TenSegments",
            place.bootstrap, group, place.events, place.transitions, guarantee, str(commit_ms), store,
            str(place.folder),
        ]  # fmt: skip
        return Program(command, os.environ, group, f"{group}-accounts-changelog")

    state = f"{store}, changelog; every {commit_ms} ms"
    return Engine(name=name, guarantee=guarantee, state=state, program=program, prepare=_built_by_maven)


def _built_by_maven() -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise SystemExit("no mvn on the PATH to build the program for Kafka Streams; leave that engine out")
    command = [maven, "-q", "-B", "compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    run = subprocess.run(
        command, cwd=MAVEN_PROJECT, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S, check=False
    )
    if run.returncode != 0:
        raise SystemExit(f"Maven did not build the program for Kafka Streams:\n{run.stdout}{run.stderr}")
