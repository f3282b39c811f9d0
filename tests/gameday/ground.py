"""The deployment that is broken: brokers behind proxies, workers as processes, the canary, Slack, Prometheus, load.

Who operates it does so through the methods here: as a supervisor that starts and stops workers, and with commands, in
a shell with the settings that the workers have. What was done is noted, for the page.
"""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from streams.dev.jars import find_classpath, find_java
from streams.dev.ports import free_ports
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs
from tests.chaos.crew import Crew
from tests.chaos.proxy import Fault
from tests.chaos.worlds import Java, World, world
from tests.gameday.load import Load
from tests.gameday.slack import Slack, slack
from tests.gameday.watch import Watch, watching
from tests.kafka.workers import PEGEL, environment, readiness_at

ENGAGEMENT: Final = ("engagement-1", "engagement-2")
WORKERS: Final = ("intake-1", *ENGAGEMENT, "router-1", "courier-1")
CANARY: Final = "canary"
READY_S: Final = 180.0
COMMAND_S: Final = 180.0
BROKER_S: Final = 180.0
POLL_S: Final = 0.3
IDLE_LOOKS: Final = 4
SEED: Final = 20261122
DESTINATION: Final = "team"
TEMPLATE: Final = "plain"
SEGMENT: Final = "not_activated"
"""Which every new account enters."""

PLAYBOOK: Final = f"""\
format: 1
name: gameday
destinations:
  - {{id: {DESTINATION}, type: slack, url: "${{TEAM_URL}}", allow_http: true, timeout_s: 5}}
templates:
  {TEMPLATE}: {{title: "{{{{ account }}}}", body: "{{{{ segment | label }}}}"}}
plays:
  - {{id: tell, segment: {SEGMENT}, template: {TEMPLATE}, destination: {DESTINATION}}}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What an operator did, and what came of it."""

    text: str
    outcome: str = ""


@dataclass
class Ground:
    settings: Settings
    topics: Topics
    world: World
    crew: Crew
    ports: Mapping[str, int]
    slack: Slack
    load: Load
    watch: Watch
    folder: Path
    variables: dict[str, str]
    overrides: dict[str, dict[str, str]]
    """What single workers are given in addition, by name."""
    steps: list[Step] = field(default_factory=list)

    # -- what an operator does ---------------------------------------------------------------------------------------

    def did(self, text: str, outcome: str = "") -> None:
        self.steps.append(Step(text, outcome))

    def run(self, command: str, note: Callable[[str], str] | None = None) -> str:
        """A command of a runbook, in a shell; what it wrote. `note`: of that, what the page tells."""
        done = subprocess.run(
            ["bash", "-c", command],
            env=self._shell(), capture_output=True, text=True, timeout=COMMAND_S, check=False,
        )  # fmt: skip
        told = note(done.stdout) if note is not None else ""
        shown = re.sub(r"'[^']*\n[^']*'", "'...'", command)
        self.did(f"`{shown}`", told or f"exit status {done.returncode}")
        (self.folder / "commands.log").open("a").write(f"$ {command}\n{done.stdout}{done.stderr}\n")
        return done.stdout

    def _shell(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return environment(self.settings, self.variables) | {"PATH": path}

    def start(self, *names: str) -> None:
        for name in names:
            self.crew.add(name)
        self.await_ready(*names)

    def restart_with(self, names: Sequence[str], more: Mapping[str, str]) -> None:
        """In good order, with other settings than before."""
        for name in names:
            self.crew.leave(name)
            self.overrides[name] = dict(more)
            self.crew.add(name)
        self.await_ready(*names)

    def suffer(self, fault: Fault) -> None:
        for proxy in self.world.proxies.all:
            self.world.proxies.suffer(proxy, fault)

    # -- what is seen ------------------------------------------------------------------------------------------------

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def readiness(self, name: str) -> dict[str, Any]:
        return readiness_at(self.address(name)) if name != CANARY else {}

    def await_ready(self, *names: str) -> None:
        wanted = [name for name in names if name != CANARY]
        self.await_that(lambda: all(self.readiness(name).get("ready") for name in wanted), f"{names} to be ready")

    def await_caught_up(self, stage: str) -> None:
        """Until each partition of a stage was seen with nothing left to read, at some moment from now."""
        open_ = set(range(self.settings.kafka.partitions))

        def all_seen() -> bool:
            open_.difference_update(number for number, _, lag in self._held(stage) if lag == 0)
            return not open_

        self.await_that(all_seen, f"{stage} to catch up")

    def await_passed(self, stage: str, ends: Mapping[int, int]) -> None:
        """Until a stage has applied what stands before these offsets, or said often enough that nothing is left.

        The markers of transactions at a partition's end are passed only when something comes after them.
        """
        idle: Counter[int] = Counter()

        def passed() -> bool:
            held = {number: (offset, lag) for number, offset, lag in self._held(stage)}
            idle.update(number for number, (_, lag) in held.items() if lag == 0)
            return all(
                idle[number] >= IDLE_LOOKS or held.get(number, (-1, None))[0] >= end for number, end in ends.items()
            )

        self.await_that(passed, f"{stage} to pass {dict(ends)}")

    def _held(self, stage: str) -> Iterator[tuple[int, int, int | None]]:
        for name in WORKERS:
            if name.startswith(stage):
                for one in self.readiness(name).get("partitions", []):
                    if "next_offset" in one:
                        yield one["partition"], one["next_offset"], one["lag"]

    def await_that(self, condition: Callable[[], bool], what: str, timeout_s: float = READY_S) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s:.0f} s for {what}\n{self.crew.logs}"
            time.sleep(POLL_S)

    def scrape(self, name: str) -> tuple[int, float]:
        """Series that a process shows, and how long it took to say so."""
        request = urllib.request.Request(
            f"{self.address(name)}/metrics", headers={"Accept": "application/openmetrics-text"}
        )
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=10) as answer:
            page = answer.read().decode()
        took_s = time.perf_counter() - began
        return sum(1 for line in page.splitlines() if line and not line.startswith("#")), took_s


def rhythm(factor: Fraction) -> dict[str, str]:
    """Settings that are times too, at the pace of the alerts; none below what a busy machine needs."""

    def scaled(usual_s: float, least_s: float) -> str:
        return f"{max(least_s, float(usual_s * factor)):g}"

    return {
        "PEGEL_RUNTIME__SILENCE_TIMEOUT_S": scaled(300, 10),
        "PEGEL_RUNTIME__START_TIMEOUT_S": scaled(60, 10),
        "PEGEL_CANARY__INTERVAL_S": scaled(60, 2),
        "PEGEL_CANARY__TIMEOUT_S": scaled(60, 10),
    }


@contextmanager
def ground(folder: Path, prometheus: str, factor: Fraction, say: Callable[[str], None]) -> Iterator[Ground]:
    """All of it, ready for work, with load; ended in reverse order."""
    folder.mkdir(parents=True)
    (folder / "playbook.yaml").write_text(PLAYBOOK)
    with ExitStack() as stack:
        brokers = stack.enter_context(world(Java(find_java(), find_classpath(say)), folder, servers=1))
        settings = Settings(kafka=KafkaSettings(bootstrap=brokers.bootstrap, session_timeout_ms=6_000))
        TopicAdmin(settings.kafka).apply(specs(settings))
        stand_in = stack.enter_context(slack())
        variables = {
            **rhythm(factor), "PEGEL_NOTIFY__PLAYBOOKS": str(folder / "playbook.yaml"), "TEAM_URL": stand_in.url,
        }  # fmt: skip
        ports = dict(zip((*WORKERS, CANARY), free_ports(len(WORKERS) + 1), strict=True))
        overrides: dict[str, dict[str, str]] = {}
        through = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap": brokers.door})})

        def command_of(name: str) -> tuple[Sequence[str], Mapping[str, str]]:
            what = [CANARY] if name == CANARY else ["worker", name.partition("-")[0], "--instance-id", name]
            more = {**variables, **overrides.get(name, {})}
            return [*PEGEL, *what, "--port", str(ports[name])], environment(through, more)

        crew = Crew(command_of, folder)
        stack.callback(crew.end)
        topics = Topics(settings.kafka.topic_prefix)
        load = Load(settings.kafka.bootstrap, topics.product_events, SEED)
        watch = stack.enter_context(watching(prometheus, folder / "prometheus", ports, str(factor)))
        all_ = Ground(
            settings, topics, brokers, crew, ports, stand_in, load, watch, folder, variables, overrides,
        )  # fmt: skip
        all_.start(*WORKERS, CANARY)
        load.start()
        yield all_
