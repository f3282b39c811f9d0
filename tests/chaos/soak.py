"""Run the product at a steady rate for a long time, break something now and then, and see whether anything grows.

    python -m tests.chaos.soak --minutes 20 --rate 500 --report soak.json

Theory of operation. One broker behind a proxy; two workers of intake and of engagement, one router, one courier that
writes to its own output. Of each pair the second one is killed again and again, so that the first one - whose memory is
measured - lives through rebalances, broker restarts and late answers without being restarted itself. Events come from a
fixed population, so that state reaches its bounds in the first half. `flatness` decides over the last half, on the
samples of the process that lived longest in it; afterwards all is drained and compared with a replay, as in the chaos
tests.

The exit status is 0 if nothing grows and everything is as replayed, 1 otherwise.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from confluent_kafka import Producer

from streams.dev.jars import find_classpath, find_java
from streams.settings import Settings
from streams.topics import Topics
from tests.chaos.crew import Crew
from tests.chaos.flatness import Growth, Sample, growth
from tests.chaos.pipeline import Pipeline, pipeline_on, readiness
from tests.chaos.schedule import Kind, Mix, Range, Step, each, schedule
from tests.chaos.storm import BrokersLane, Network, note
from tests.chaos.worlds import Java, World, world

ACCOUNTS: Final = 200
USERS_PER_ACCOUNT: Final = 5
EVENT_NAMES: Final = ("report_created", "dashboard_viewed", "member_invited", "export_finished", "comment_added")
SAMPLE_EVERY_S: Final = 2.0
BURST_S: Final = 0.1
SETTLED_WITHIN_S: Final = 600.0
READY_WITHIN_S: Final = 300.0
LAG_SECONDS_MAX: Final = 10.0
"""The last half's usual lag, in seconds of input."""
SHORTEST_SERIES_S: Final = 120.0
SHOWN_MAX: Final = 60
PROBLEM_CHARS_MAX: Final = 3_000
SURVIVORS: Final = ("intake-1", "engagement-1", "router-1", "courier-1")
VICTIMS: Final = ("intake-2", "engagement-2")
PAUSE_S: Final = Range(15.0, 30.0)
FAULTS: Final = {**each((Kind.LATENCY, Kind.SLOW, Kind.CUT)), Kind.BROKER_STOP: 1, Kind.KILL: 4}


@dataclass
class Report:
    minutes: float
    rate: int
    seed: int
    events: int = 0
    missed: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    lag_median: float = 0.0
    transitions: int = 0
    problems: list[str] = field(default_factory=list)


class Steady:
    """Events of a fixed population, keyed by user, that happen now."""

    def __init__(self, settings: Settings, rate: int, rng: random.Random) -> None:
        self._topic = Topics(settings.kafka.topic_prefix).product_events
        self._rate, self._rng = rate, rng
        self._producer = Producer(
            {**settings.kafka.librdkafka(), "enable.idempotence": True, "compression.type": "lz4", "log_level": 0}
        )
        self.sent = 0
        self.refused: Counter[str] = Counter()
        self.missed = 0
        """Events that this process was too slow to send; they are left out."""

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()

        def work() -> None:
            began = time.monotonic()
            while not stop.wait(BURST_S):
                due = int((time.monotonic() - began) * self._rate)
                for _ in range(min(due - self.sent - self.missed, self._rate)):  # after a standstill not all at once
                    self._send()
                self.missed = due - self.sent
                self._producer.poll(0)

        thread = threading.Thread(target=work, name="steady", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            assert self._producer.flush(120) == 0, "events were not delivered"

    def _on_delivery(self, error: Any, _message: Any) -> None:
        if error is not None:
            self.refused[error.name()] += 1

    def _send(self) -> None:
        self.sent += 1
        account = self._rng.randrange(ACCOUNTS)
        user = f"u-{account}-{self._rng.randrange(USERS_PER_ACCOUNT)}"
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {
            "type": "track",
            "messageId": f"soak-{self.sent}",
            "userId": user,
            "event": self._rng.choice(EVENT_NAMES),
            "timestamp": now,
            "receivedAt": now,
            "context": {"groupId": f"account-{account}"},
        }
        value = json.dumps(event).encode()
        while True:
            try:
                self._producer.produce(self._topic, value, user.encode(), on_delivery=self._on_delivery)
            except BufferError:  # the broker is away
                self._producer.poll(BURST_S)
            else:
                return


class Sampler:
    """Reads what the system and the workers' pages say, from a thread."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._began = time.monotonic()
        self.series: dict[tuple[str, int], list[Sample]] = defaultdict(list)
        self.lags: list[tuple[float, int]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(SAMPLE_EVERY_S):
                self._look(time.monotonic() - self._began)

        thread = threading.Thread(target=work, name="sampler", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _look(self, at_s: float) -> None:
        lag = 0
        for name, pid in self._crew.pids().items():
            sample = sample_of(pid, at_s)
            if sample is not None:
                self.series[name, pid].append(sample)
            lag += sum(one.get("lag") or 0 for one in readiness(self._crew, name).get("partitions", ()))
        self.lags.append((at_s, lag))

    def longest(self, name: str, from_s: float) -> list[Sample]:
        """Samples after a moment, of the process that lived longest since then."""
        tails = [
            [one for one in series if one.at_s >= from_s] for (whose, _), series in self.series.items() if whose == name
        ]
        return max(tails, key=len, default=[])


def sample_of(pid: int, at_s: float) -> Sample | None:
    """What /proc says; None if the process has just ended."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return Sample(at_s, int(status["VmRSS"].split()[0]), files, int(status["Threads"]))
    except (OSError, KeyError):
        return None


class SoakLane:
    """A lane that kills the second workers, and breaks the broker and the network."""

    def __init__(self, crew: Crew, brokers: BrokersLane) -> None:
        self._crew, self._brokers = crew, brokers

    def suffer(self, step: Step) -> None:
        if step.kind is Kind.KILL:
            self._crew.kill(VICTIMS[step.place % len(VICTIMS)])
        else:
            self._brokers.suffer(step)


def soak(options: argparse.Namespace) -> Report:
    report = Report(options.minutes, options.rate, options.seed)
    java = Java(find_java(), find_classpath(note))
    with tempfile.TemporaryDirectory(prefix="pegel-soak-") as scratch, world(java, Path(scratch), 1) as brokers:
        folder = Path(scratch)
        pipeline = pipeline_on(brokers, "default", "wall", {"PEGEL_NOTIFY__PLAYBOOKS": "console"})
        pipeline.create_topics()
        crew = pipeline.crew(folder)
        try:
            for name in (*SURVIVORS, *VICTIMS):
                crew.add(name)
            run(pipeline, crew, brokers, report)
            with_verdict(report, lambda: pipeline.wait_until_done(crew, SETTLED_WITHIN_S))
            report.ends = {str(code): times for code, times in crew.ends.items()}
            for name in crew.names:
                crew.leave(name)
            with_verdict(report, crew.require_expected_ends)

            def compare() -> None:
                report.transitions = pipeline.require_right(folder).transitions

            with_verdict(report, compare)
        finally:
            crew.end()
    return report


def run(pipeline: Pipeline, crew: Crew, brokers: World, report: Report) -> None:
    """Events, faults and samples for as long as was asked."""
    steady = Steady(pipeline.settings, report.rate, random.Random(report.seed))
    lane = SoakLane(crew, BrokersLane(brokers.brokers, Network(brokers.proxies)))
    await_ready(crew)
    sampler = Sampler(crew)
    steps = iter(schedule(report.seed, Mix(FAULTS, round(report.minutes * 60 / PAUSE_S.low) + 1, PAUSE_S)))
    with sampler.running(), steady.running():
        ends_at = time.monotonic() + report.minutes * 60
        while time.monotonic() < ends_at:
            step = next(steps)
            time.sleep(max(0.0, min(step.pause_s, ends_at - time.monotonic())))
            lane.suffer(step)
            report.faults[step.kind.value] = report.faults.get(step.kind.value, 0) + 1
            note(f"{step.kind}; {steady.sent} events, lag {sampler.lags[-1][1] if sampler.lags else '?'}")
    report.events = steady.sent
    report.missed = steady.missed
    if steady.refused:
        report.problems.append(f"events were not delivered: {dict(steady.refused)}")
    judge(sampler, report)


def await_ready(crew: Crew) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    for name in crew.names:
        while not crew.wait_for_line(name, "ready: partitions", 0, 1):
            assert time.monotonic() < deadline, crew.log(name)


def judge(sampler: Sampler, report: Report) -> None:
    half_s = report.minutes * 60 / 2
    for name in SURVIVORS:
        samples = sampler.longest(name, half_s)
        if not samples or samples[-1].at_s - samples[0].at_s < min(SHORTEST_SERIES_S, half_s / 2):
            report.problems.append(f"{name} did not live long enough in the last half to be judged")
            continue
        found = growth(samples)
        report.workers[name] = described(samples, found)
        report.problems += [f"{name}: {leak}" for leak in found.leaks]
    report.lag_median = median(lag for at_s, lag in sampler.lags if at_s >= half_s)
    if report.lag_median > LAG_SECONDS_MAX * report.rate:
        report.problems.append(f"the usual lag is {report.lag_median:.0f} records")


def described(samples: Sequence[Sample], found: Growth) -> dict[str, Any]:
    last = samples[-1]
    return {
        **{key: round(value, 1) for key, value in asdict(found).items()},
        "samples": len(samples),
        "last": asdict(last),
        "memory_max_kb": max(one.memory_kb for one in samples),
        "memory_kb_by_time": [
            (round(one.at_s), one.memory_kb) for one in samples[:: max(1, len(samples) // SHOWN_MAX)]
        ],
    }


def with_verdict(report: Report, check: Callable[[], None]) -> None:
    """A check that fails is a finding; the others still count."""
    try:
        check()
    except (AssertionError, subprocess.SubprocessError) as error:
        report.problems.append(str(error)[:PROBLEM_CHARS_MAX])


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the product at a steady rate with faults; is anything growing?")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--report", type=Path, help="where to write the figures, as JSON")
    options = parser.parse_args()
    report = soak(options)
    text = json.dumps(asdict(report), indent=2)
    if options.report is not None:
        options.report.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
