"""What every row stands on: a broker, deployments of a run each, worker processes, and what they have cost so far.

Processor time is read from /proc: user and system time of all threads of a process, to a hundredth of a second. How
far a worker is, is read from the offsets that its group has committed, that is what came out of a transaction; asking
for them costs the worker nothing.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.dev.broker import Broker, BrokerKind, broker_for
from streams.dev.ports import free_ports
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs

ROOT: Final = Path(__file__).parents[1]
PARTITIONS: Final = 4
READY_WITHIN_S: Final = 300.0
STOPPED_WITHIN_S: Final = 60.0
STUCK_AFTER_S: Final = 300.0
SAMPLE_S: Final = 0.05
LATE_SHARE_MAX: Final = 0.05
ANNOUNCED_RECORDS: Final = 2
COORDINATED_WITHIN_S: Final = 60.0
UNCOORDINATED: Final = (
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)  # fmt: skip
"""A broker that has just started makes the topic of the offsets when it is first asked."""
LOG_TAIL_CHARS: Final = 4_000
PROBE: Final = "import streams.engine.partition as found; print(found.__file__)"


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


# -- processes ---------------------------------------------------------------------------------------------------------


def cpu_s(pid: int) -> float:
    """Processor time, user and system, of a process so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) * 1024


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that is asked about, and where it finds the program: installed, else in this tree."""

    executable: str
    environment: Mapping[str, str]
    engine: str

    @property
    def is_compiled(self) -> bool:
        return self.engine.endswith((".so", ".pyd"))

    @staticmethod
    def of(executable: str) -> "Interpreter":
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("PEGEL_", "PYTHONPATH"))}
        for environment in (outside, {**outside, "PYTHONPATH": str(ROOT)}):
            probe = [executable, "-c", PROBE]
            with tempfile.TemporaryDirectory() as elsewhere:  # here, the tree would be found before what is installed
                found = subprocess.run(
                    probe, env=environment, cwd=elsewhere, capture_output=True, text=True, check=False
                )
            if found.returncode == 0:
                return Interpreter(executable, environment, found.stdout.strip())
        raise SystemExit(f"{executable} cannot run the program: {found.stderr[-LOG_TAIL_CHARS:]}")

    def command(self, *arguments: str) -> list[str]:
        return [self.executable, "-c", "from streams.cli import main; main()", *arguments]


class WorkerProcess:
    """One worker, which may be killed and started again under the same name."""

    def __init__(self, interpreter: Interpreter, stage: str, more: Mapping[str, str], folder: Path, name: str) -> None:
        (self._port,) = free_ports(1)
        self._folder = folder
        self._environment = {**interpreter.environment, **more}
        self._command = interpreter.command("worker", stage, "--port", str(self._port), "--instance-id", name)
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def hold(self) -> None:
        """Let it stand still, until `go_on`."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def require_running(self) -> None:
        assert self._process is not None, "not started"
        if self._process.poll() is not None:
            raise RuntimeError(f"a worker ended with {self._process.returncode}: {self.log()}")

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]

    def readiness(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=5) as answer:
                page = answer.read()
        except urllib.error.HTTPError as error:
            page = error.read()
        except OSError:
            return {}
        found: dict[str, Any] = json.loads(page)
        return found

    def counted(self, metric: str) -> float:
        """The sum of a counter's series."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
            page = answer.read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(metric))

    def await_ready(self, partitions_min: int = 1, every_s: float = 0.1) -> dict[str, Any]:
        """What it says once it is at work on so many partitions."""
        end = time.monotonic() + READY_WITHIN_S
        while True:
            page = self.readiness()
            if page.get("ready") and len(page["partitions"]) >= partitions_min:
                return page
            self.require_running()
            if time.monotonic() > end:
                raise RuntimeError(f"not ready after {READY_WITHIN_S:.0f} s: {page}: {self.log()}")
            time.sleep(every_s)


# -- deployments -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """What a moment looked like: `done` input records are committed."""

    at: float
    worker_cpu_s: float
    broker_cpu_s: float
    done: int


@dataclass(frozen=True, slots=True)
class Span:
    """What lies between two samples."""

    first: Sample
    last: Sample

    @property
    def events(self) -> int:
        return self.last.done - self.first.done

    @property
    def seconds(self) -> float:
        return self.last.at - self.first.at

    @property
    def cpu_s_per_million(self) -> float:
        return (self.last.worker_cpu_s - self.first.worker_cpu_s) / self.events * 1e6

    @property
    def broker_cpu_s_per_million(self) -> float:
        return (self.last.broker_cpu_s - self.first.broker_cpu_s) / self.events * 1e6

    @property
    def events_per_s(self) -> float:
        return self.events / self.seconds


@dataclass
class Deployment:
    """Topics of one run, and the workers on them."""

    broker: Broker
    interpreter: Interpreter
    settings: Settings
    folder: Path
    stage: str
    more: Mapping[str, str]
    workers: list[WorkerProcess] = field(default_factory=list)

    @property
    def topics(self) -> Topics:
        return Topics(self.settings.kafka.topic_prefix)

    @property
    def input_topic(self) -> str:
        return self.topics.product_events if self.stage == "intake" else self.topics.account_events

    def worker(self) -> WorkerProcess:
        """Start one more."""
        kafka = self.settings.kafka
        environment = {
            "PEGEL_KAFKA__BOOTSTRAP": kafka.bootstrap, "PEGEL_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
            "PEGEL_KAFKA__PARTITIONS": str(kafka.partitions), **self.more,
        }  # fmt: skip
        name = f"{self.stage}-{len(self.workers)}"
        worker = WorkerProcess(self.interpreter, self.stage, environment, self.folder, name)
        worker.start()
        self.workers.append(worker)
        return worker

    def follow(self) -> Iterator[Sample]:
        """Samples until all that is in the input by now is committed."""
        pids, broker = [worker.pid for worker in self.workers], self._broker_pid()
        moved_at, before = time.monotonic(), -1
        with self.committed() as committed:
            ends = self.ends()
            while True:
                done = sum(map(min, committed(), ends))
                sample = Sample(time.monotonic(), sum(map(cpu_s, pids)), cpu_s(broker), done)
                yield sample
                if done >= sum(ends):
                    return
                moved_at, before = (sample.at, done) if done != before else (moved_at, before)
                for worker in self.workers:
                    worker.require_running()
                if sample.at - moved_at > STUCK_AFTER_S:
                    raise RuntimeError(f"nothing committed beyond {done}: {self.workers[0].log()}")
                time.sleep(SAMPLE_S)

    def span(self, warm: float, until: float = 1.0) -> Span:
        """Between the moments at which these shares of the input were committed."""
        samples = list(self.follow())
        total = samples[-1].done
        first = next(sample for sample in samples if sample.done >= warm * total)
        last = next(sample for sample in samples if sample.done >= until * total)
        if last.done <= first.done:
            raise RuntimeError(f"{total:,} events are too few: they were all done at once")
        return Span(first, last)

    def _broker_pid(self) -> int:
        process = self.broker.process
        assert process is not None and process.pid is not None, "the broker is a process of ours"  # noqa: PT018
        return process.pid

    def ends(self, topic: str | None = None) -> list[int]:
        """How many records (with what ends transactions) each partition of the input or another topic has."""
        partitions = [TopicPartition(topic or self.input_topic, one.partition) for one in self._input_partitions()]
        with self._consumer() as consumer:
            return [consumer.get_watermark_offsets(one, timeout=30)[1] for one in partitions]

    def await_announced(self) -> None:
        """Until each partition of the log has its catalog record, and the marker that ends its transaction.

        For those who publish to a worker that runs: were these the last of the log, its end would never be committed.
        """
        end = time.monotonic() + READY_WITHIN_S
        while min(self.ends()) < ANNOUNCED_RECORDS:
            for worker in self.workers:
                worker.require_running()
            if time.monotonic() > end:
                raise RuntimeError(f"no catalog in the log: {self.workers[0].log()}")
            time.sleep(SAMPLE_S)

    def require_decided(self) -> int:
        """How many transitions there are. Cheap is also who decides nothing: none, or all events late, is no figure."""
        transitions, late = (sum(self.ends(one)) for one in (self.topics.transitions, self.topics.account_events_late))
        if transitions == 0 or late > LATE_SHARE_MAX * sum(self.ends()):
            raise RuntimeError(
                f"{transitions} transitions, {late} events too late: this was not the work to be measured"
            )
        return transitions

    @contextmanager
    def committed(self) -> Iterator[Callable[[], list[int]]]:
        """How many records of each partition of the input are committed."""
        with self._consumer() as consumer:
            yield lambda: self._committed(consumer)

    def _committed(self, consumer: Consumer) -> list[int]:
        end = time.monotonic() + COORDINATED_WITHIN_S
        while True:
            try:
                found = consumer.committed(self._input_partitions(), timeout=30)
            except KafkaException as error:
                if error.args[0].code() not in UNCOORDINATED or time.monotonic() > end:
                    raise
                time.sleep(SAMPLE_S)
            else:
                return [max(0, one.offset) for one in found]

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer({
            "bootstrap.servers": self.settings.kafka.bootstrap, "group.id": self.topics.group(self.stage),
            "isolation.level": "read_uncommitted",  # offsets as committed; otherwise it waits for open transactions
        })  # fmt: skip
        try:
            yield consumer
        finally:
            consumer.close()

    def _input_partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.input_topic, number) for number in range(self.settings.kafka.partitions)]


@dataclass
class Rig:
    """One broker, and deployments on it."""

    broker: Broker
    interpreter: Interpreter
    folder: Path
    _count: int = 0

    @contextmanager
    def deployment(
        self, stage: str = "engagement", *, partitions: int = PARTITIONS, more: Mapping[str, str] | None = None
    ) -> Iterator[Deployment]:
        """Topics under a prefix of their own, which go with the block, as do the workers."""
        self._count += 1
        kafka = KafkaSettings(
            bootstrap=self.broker.bootstrap, topic_prefix=f"bench{self._count}.", partitions=partitions
        )
        settings = Settings(kafka=kafka)
        admin = TopicAdmin(kafka)
        admin.apply(specs(settings))
        folder = self.folder / kafka.topic_prefix
        folder.mkdir()
        made = Deployment(self.broker, self.interpreter, settings, folder, stage, more or {})
        try:
            yield made
        finally:
            for worker in made.workers:
                worker.stop()
            admin.delete(list(made.topics.all()))


def catalog(reference: str | Path, clock: str = "off") -> dict[str, str]:
    """Settings of an engagement worker: its rules, and what makes its clock run."""
    return {"PEGEL_ENGAGEMENT__CATALOG": str(reference), "PEGEL_ENGAGEMENT__CLOCK": clock}


@contextmanager
def rig_for(python: str) -> Iterator[Rig]:
    interpreter = Interpreter.of(python)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pegel-bench-")))
        say(f"engine: {'compiled' if interpreter.is_compiled else 'pure Python'}; starting a broker")
        broker = stack.enter_context(broker_for(say, kinds=(BrokerKind.JARS,)))
        yield Rig(broker, interpreter, folder)


def latest_rows(deployment: Deployment, topic: str, key_start: bytes) -> dict[bytes, bytes]:
    """What compaction would leave of a topic: the latest value of each key that begins so."""
    consumer = Consumer({
        "bootstrap.servers": deployment.settings.kafka.bootstrap, "group.id": "bench-reader",
        "enable.auto.commit": False, "isolation.level": "read_committed", "enable.partition.eof": True,
    })  # fmt: skip
    numbers = range(deployment.settings.kafka.partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    rows: dict[bytes, bytes | None] = {}
    ended: set[int] = set()
    while len(ended) < len(numbers):
        for message in consumer.consume(5_000, 1.0):
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error  # noqa: SLF001 - its public name
                ended.add(message.partition())
            elif message.key().startswith(key_start):
                rows[message.key()] = message.value()
    consumer.close()
    return {key: value for key, value in rows.items() if value is not None}
