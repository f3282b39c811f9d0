
"""What a million deadlines that are due at once cost, and how long events wait meanwhile.

`python benchmarks/deadlines.py [--accounts N] [--partitions N] [--rate N] [--moving PERCENT]` starts a broker of its
own, fills the engagement stage's changelog with accounts that are all due at the same midnight (windows that move,
first days that are over, by the default catalog), starts one worker, and publishes events of new accounts at a steady
rate: some seconds before midnight, then past it. The clock follows the log, so midnight is when the events say so.

An event waits from its append until its transition can be read (read_committed). `--engine` leaves out Kafka and the
worker: it says what the stage alone takes.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402
from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402

from schemas.timestamps import format_ms  # noqa: E402
from schemas.wire import decode_event  # noqa: E402
from streams.catalogs import load_catalog  # noqa: E402
from streams.dev.broker import BrokerKind, broker_for  # noqa: E402
from streams.dev.ports import free_ports  # noqa: E402
from streams.engagement import rows  # noqa: E402
from streams.engagement.stage import EngagementConfig, EngagementStage  # noqa: E402
from streams.engine import codec  # noqa: E402
from streams.engine.partition import Partition  # noqa: E402
from streams.engine.program import Program, compile_catalog  # noqa: E402
from streams.limits import GRACE_MS  # noqa: E402
from streams.settings import KafkaSettings, Settings  # noqa: E402
from streams.topic_admin import TopicAdmin  # noqa: E402
from streams.topics import Topics, specs  # noqa: E402

DAY_MS = 86_400_000
MIDNIGHT_MS = 20_515 * DAY_MS
LAST_EVENT_MS = MIDNIGHT_MS - DAY_MS // 3
STATES = 500
OPERATION = 1_000  # more than the making of any state took
NAMES = ("report_created", "dashboard_shared", "integration_connected", "export_run", "login", "settings_opened")
BEFORE_S = 5.0
WARM_UP_S_MAX = 60.0
GIVE_UP_S = 1_800.0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def states(program: Program, moving_percent: int) -> list[bytes]:
    """Stored states of accounts whose next deadline is midnight.

    `moving_percent` of them change segments then: they leave their first days. Of the others a window moves.
    """
    rng = random.Random(7)
    kept: dict[bool, list[bytes]] = {True: [], False: []}
    wanted = {True: STATES * moving_percent // 100, False: STATES - STATES * moving_percent // 100}
    while any(len(kept[moving]) < wanted[moving] for moving in kept):
        partition = Partition(program)
        moving = len(kept[True]) < wanted[True]
        reach = 4 * DAY_MS - DAY_MS // 3 if moving else 20 * DAY_MS
        moments = {LAST_EVENT_MS - rng.randrange(reach) for _ in range(rng.randint(2, 14))}
        for at in sorted(moments | ({MIDNIGHT_MS - 4 * DAY_MS} if moving else set())):
            raw = event(f"m{at}", at, rng.choice(NAMES), f"u{rng.randrange(4)}")
            partition.apply("acme", decode_event(raw), raw, at)
        partition.advance_to(MIDNIGHT_MS - 1)
        partition.take_transitions()
        partition.take_reportable()
        ((_, stored),) = partition.take_changes()
        if codec.next_deadline(stored) == MIDNIGHT_MS and len(kept[moving]) < wanted[moving]:
            kept[moving].append(stored)
    found = [*kept[True], *kept[False]]
    rng.shuffle(found)
    return found


def event(message_id: str, at: int, name: str, user: str) -> bytes:
    fields = {"type": "track", "event": name, "userId": user, "messageId": message_id, "timestamp": format_ms(at)}
    return json.dumps({**fields, "properties": {"team": "red"}}).encode()


def partition_row(program: Program) -> bytes:
    """A partition that has read everything up to the last event, under the catalog."""
    return msgspec.msgpack.encode(
        rows.PartitionRow(
            floor=LAST_EVENT_MS, newest_arrival=LAST_EVENT_MS, catalog=msgspec.Raw(program.packed), announced=True,
            number=OPERATION, looked_day=None, decided_day=None, ranked_at=0, percentiles={},
        )
    )  # fmt: skip


# -- the stage alone ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    timestamp: int
    value: bytes
    headers: list[tuple[str, bytes | None]]
    key: bytes | None = None
    offset: int = 0


def engine_alone(accounts: int, moving_percent: int) -> None:
    program = compile_catalog(load_catalog("default"))
    stage = EngagementStage(0, EngagementConfig(program, Topics(), 1, "log", 0))
    kept = states(program, moving_percent)
    for number in range(accounts):
        stage.restore(rows.ACCOUNT + b"account-%d" % number, kept[number % STATES])
    stage.restore(rows.PARTITION, partition_row(program))
    stage.restored()
    clock = json.dumps({"at": format_ms(MIDNIGHT_MS + GRACE_MS)}).encode()
    began = time.process_time()
    stage.apply([Record(MIDNIGHT_MS + GRACE_MS, clock, [("pegel-control", b"clock")])])
    told_s = time.process_time() - began
    slices: list[float] = []
    outputs = changes = 0
    while stage.has_backlog():
        start = time.process_time()
        worked = stage.work_off()
        slices.append(time.process_time() - start)
        if not worked:
            drained = stage.drain()
            outputs, changes = outputs + len(drained.outputs), changes + len(drained.changes)
    drained = stage.drain()
    outputs, changes = outputs + len(drained.outputs), changes + len(drained.changes)
    took = time.process_time() - began
    say(f"{accounts:,} deadlines: {took:.1f} s CPU, {took / accounts * 1e6:.0f} us each; {outputs:,} outputs,"
          f" {changes:,} rows; told in {told_s * 1e3:.1f} ms, slice of 20 p50 {statistics.median(slices) * 1e3:.1f} ms,"
          f" longest {max(slices) * 1e3:.1f} ms")  # fmt: skip


# -- the whole worker --------------------------------------------------------------------------------------------------


def fill(settings: Settings, program: Program, accounts: int, moving_percent: int) -> None:
    topic, partitions = Topics(settings.kafka.topic_prefix).accounts_changelog, settings.kafka.partitions
    producer = Producer({
        "bootstrap.servers": settings.kafka.bootstrap, "compression.type": "lz4", "linger.ms": 20,
        "batch.size": 900_000,
    })  # fmt: skip
    kept = states(program, moving_percent)
    for number in range(accounts):
        while True:
            try:
                key = rows.ACCOUNT + b"account-%d" % number
                producer.produce(topic, kept[number % STATES], key, number % partitions)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    for partition in range(partitions):
        producer.produce(topic, partition_row(program), rows.PARTITION, partition)
    left = producer.flush(120)
    assert left == 0, f"{left} rows were not written"


@dataclass
class Load:
    """Events of new accounts at a steady rate, and when each was acknowledged."""

    settings: Settings
    rate: int
    appended: dict[bytes, float] = field(default_factory=dict)
    past_midnight: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        topic, partitions = Topics(self.settings.kafka.topic_prefix).account_events, self.settings.kafka.partitions
        producer = Producer({"bootstrap.servers": self.settings.kafka.bootstrap, "linger.ms": 0, "acks": "all"})
        started, number = time.monotonic(), 0
        while not self.over.is_set():
            due = int((time.monotonic() - started) * self.rate)
            while number < due:
                at = (MIDNIGHT_MS + GRACE_MS if self.past_midnight.is_set() else LAST_EVENT_MS) + number
                key = b"new-%d" % number
                producer.produce(topic, event(key.decode(), at, "login", "u1"), key, number % partitions,
                                 on_delivery=self._delivered, timestamp=at)  # fmt: skip
                number += 1
            producer.poll(0.002)
        producer.flush(10)

    def _delivered(self, error: Any, message: Any) -> None:
        assert error is None, error
        self.appended[message.key()] = time.monotonic()


@dataclass
class Reader:
    """When the first transition of each new account could be read."""

    settings: Settings
    readable: dict[bytes, float] = field(default_factory=dict)
    transitions: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        topic = Topics(self.settings.kafka.topic_prefix).transitions
        consumer = Consumer({
            "bootstrap.servers": self.settings.kafka.bootstrap, "group.id": "bench", "enable.auto.commit": False,
            "isolation.level": "read_committed", "fetch.wait.max.ms": 10,
        })  # fmt: skip
        consumer.assign([TopicPartition(topic, number, 0) for number in range(self.settings.kafka.partitions)])
        while not self.over.is_set():
            for message in consumer.consume(2_000, 0.01):
                self.transitions += 1
                key = message.key()
                if key.startswith(b"new-") and key not in self.readable:
                    self.readable[key] = time.monotonic()
        consumer.close()


def counted(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        page = answer.read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(json.loads(answer.read())["ready"])
    except OSError:
        return False


def cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1024


def whole_worker(accounts: int, partitions: int, rate: int, moving_percent: int) -> None:
    program = compile_catalog(load_catalog("default"))
    with tempfile.TemporaryDirectory() as folder, broker_for(say, kinds=(BrokerKind.JARS,)) as broker:
        settings = Settings(kafka=KafkaSettings(bootstrap=broker.bootstrap, partitions=partitions))
        TopicAdmin(settings.kafka).apply(specs(settings))
        fill(settings, program, accounts, moving_percent)
        (port,) = free_ports(1)
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "PEGEL_KAFKA__BOOTSTRAP": broker.bootstrap,
            "PEGEL_ENGAGEMENT__CLOCK": "log", "PEGEL_KAFKA__PARTITIONS": str(partitions),
        }  # fmt: skip
        command = [sys.executable, "-c", "from streams.cli import main; main()", "worker", "engagement"]
        with (Path(folder) / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, "--port", str(port)], env=environment, stdout=log, stderr=log, cwd=ROOT
            )
        try:
            while not is_ready(port):
                assert worker.poll() is None, (Path(folder) / "worker.log").read_text()
                time.sleep(0.2)
            measure(settings, worker.pid, port, accounts, rate)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)


def warm_up(load: Load, reader: Reader) -> None:
    """Until the worker has caught up with the events."""
    end = time.monotonic() + WARM_UP_S_MAX
    while len(load.appended) - len(reader.readable) > load.rate / 2 or not reader.readable:
        if time.monotonic() > end:
            say(f"the worker does not keep up with the events alone: {os.getloadavg()[0]:.0f} processes want to run")
            return
        time.sleep(0.5)


def measure(settings: Settings, pid: int, port: int, accounts: int, rate: int) -> None:
    load, reader = Load(settings, rate), Reader(settings)
    threads = [threading.Thread(target=load.run), threading.Thread(target=reader.run)]
    for thread in threads:
        thread.start()
    try:
        warm_up(load, reader)
        quiet_cpu, before = cpu_s(pid), time.monotonic()
        time.sleep(BEFORE_S)
        quiet_cpu = (cpu_s(pid) - quiet_cpu) / (time.monotonic() - before)
        say(f"{accounts:,} accounts, {resident_mb(pid):.0f} MB, {rate} events/s: {quiet_cpu:.2f} cores before midnight")
        midnight, cpu = time.monotonic(), cpu_s(pid)
        load.past_midnight.set()
        while (fired := counted(port, "pegel_deadlines_total")) < accounts:
            assert time.monotonic() - midnight < GIVE_UP_S, f"{fired:.0f} deadlines fired"
            time.sleep(0.5)
        done, cpu, memory = time.monotonic(), cpu_s(pid) - cpu, resident_mb(pid)
        time.sleep(BEFORE_S)
    finally:
        load.over.set()
        threads[0].join()
        time.sleep(2)
        reader.over.set()
        threads[1].join()
    took = done - midnight
    own = cpu - quiet_cpu * took
    say(f"midnight: {took:.1f} s, {cpu:.1f} s CPU, {own:.1f} of them for deadlines, {own / accounts * 1e6:.0f} us each;"
          f" {reader.transitions:,} transitions, {memory:.0f} MB")  # fmt: skip
    waits = {key: reader.readable[key] - at for key, at in load.appended.items() if key in reader.readable}
    say(f"{len(load.appended) - len(waits)} of {len(load.appended)} events unread")
    say(f"load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")
    for name, begin, end in (("before", before, midnight), ("meanwhile", midnight, done)):
        of = sorted(wait for key, wait in waits.items() if begin < load.appended[key] <= end)
        if of:
            say(f"{name}: {len(of)} events, append -> readable p50 {of[len(of) // 2] * 1e3:.0f} ms,"
                  f" p99 {of[len(of) * 99 // 100] * 1e3:.0f} ms, longest {of[-1] * 1e3:.0f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--moving", type=int, default=10, help="percent of the accounts that change segments")
    parser.add_argument("--engine", action="store_true")
    arguments = parser.parse_args()
    if arguments.engine:
        engine_alone(arguments.accounts, arguments.moving)
    else:
        whole_worker(arguments.accounts, arguments.partitions, arguments.rate, arguments.moving)


if __name__ == "__main__":
    main()
