"""One run of one engine: its input is there, it starts, and is followed until all of it is committed.

Processor time is that of the engine's whole process, user and system, between the moments at which the share that
warms it up and the whole input were committed by its group; the broker's is taken between the same moments. So what
an engine does to start, and what a just-in-time compiler does at first, is left out for all alike.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from benchmarks.comparison.engines import Engine, Place, Program
from benchmarks.comparison.equality import Decisions, decisions, require_equal
from benchmarks.load import publish, ten_segments
from benchmarks.rig import PARTITIONS, Sample, Span, cpu_s
from streams.dev import tether
from streams.dev.broker import Broker
from streams.settings import KafkaSettings
from streams.topic_admin import TopicAdmin

SAMPLE_S: Final = 0.1
STUCK_AFTER_S: Final = 300.0
STOPPED_WITHIN_S: Final = 60.0
ASK_TIMEOUT_S: Final = 30.0
LOG_TAIL_CHARS: Final = 4_000
PASSING: Final = frozenset((
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError._WAIT_COORD,  # noqa: SLF001 - its public name
    KafkaError._TIMED_OUT,  # noqa: SLF001
))  # fmt: skip
"""A broker that has just started, or is busy, answers so for a moment."""


class EngineFailedError(Exception):
    """An engine ended by itself or came no further. The text has the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Job:
    """The input, and what has to come out of it."""

    events: int
    accounts: int
    expected: Decisions


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run cost. Its transitions were those expected."""

    span: Span
    peak_bytes: int
    changelog_bytes: int
    transitions: int


def run(engine: Engine, job: Job, broker: Broker, place: Place, log_folder: Path, warm: float) -> Outcome:
    """Publish, run, check.

    Raises:
        EngineFailedError: the engine did not get through.
        UnequalError: it decided something else.
    """
    admin = TopicAdmin(KafkaSettings(bootstrap=place.bootstrap))
    admin.apply(place.topics)
    publish(place.bootstrap, place.events, ten_segments(job.events, job.accounts))
    program = engine.program(place)
    with _running(program, place.folder) as process:
        samples = list(_followed(process, program, place, broker))
        peak_bytes = _peak_bytes(process.pid)
    first = next(sample for sample in samples if sample.done >= warm * job.events)
    if first.done == samples[-1].done:
        raise EngineFailedError(f"{job.events:,} events are too few: all were committed at once")
    outcome = Outcome(
        span=Span(first, samples[-1]),
        peak_bytes=peak_bytes,
        changelog_bytes=sum(file.stat().st_size for file in log_folder.glob(f"{program.changelog}-[0-9]*/*.log")),
        transitions=require_equal(job.expected, decisions(_values(place.bootstrap, place.transitions))),
    )
    admin.delete([name for name in admin.names() if name.startswith(place.prefix)])
    return outcome


@contextmanager
def _running(program: Program, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    # It must not outlive us, however we end.
    command = [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid()), *program.command]
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(command, env=dict(program.environment), cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _followed(process: subprocess.Popen[bytes], program: Program, place: Place, broker: Broker) -> Iterator[Sample]:
    """Samples until all input is committed. What an engine writes to its own input comes after that."""
    assert broker.process is not None
    broker_pid = broker.process.pid
    assert broker_pid is not None
    # Offsets as committed: `read_committed` would wait for open transactions.
    asked = {"group.id": program.group, "isolation.level": "read_uncommitted"}
    consumer = Consumer({"bootstrap.servers": place.bootstrap, **asked})
    partitions = [TopicPartition(place.events, number) for number in range(PARTITIONS)]
    ends = [consumer.get_watermark_offsets(one, timeout=ASK_TIMEOUT_S)[1] for one in partitions]
    moved_at, before = time.monotonic(), -1
    try:
        while before < sum(ends):
            if process.poll() is not None:
                raise EngineFailedError(f"it ended with {process.returncode}: {_log_tail(place.folder)}")
            done = _done(consumer, partitions, ends)
            if done is not None:
                yield Sample(time.monotonic(), cpu_s(process.pid), cpu_s(broker_pid), done)
            if done is not None and done > before:
                moved_at, before = time.monotonic(), done
            elif time.monotonic() - moved_at > STUCK_AFTER_S:
                raise EngineFailedError(f"it commits nothing beyond {before}: {_log_tail(place.folder)}")
            time.sleep(SAMPLE_S)
    finally:
        consumer.close()


def _done(consumer: Consumer, partitions: list[TopicPartition], ends: list[int]) -> int | None:
    """How much of the input is committed; nothing while the group's coordinator is not at hand."""
    try:
        found = consumer.committed(partitions, timeout=ASK_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() not in PASSING:
            raise
        return None
    done: int = sum(min(end, max(0, one.offset)) for one, end in zip(found, ends, strict=True))
    return done


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def _log_tail(folder: Path) -> str:
    return (folder / "engine.log").read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]


def _values(bootstrap: str, topic: str) -> Iterator[bytes]:
    """All that a reader of committed records finds in a topic."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "comparison-reader", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    ended: set[int | None] = set()
    try:
        while len(ended) < PARTITIONS:
            for message in consumer.consume(5_000, 1.0):
                value = message.value()
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    ended.add(message.partition())
                elif error is not None:
                    raise KafkaException(error)
                elif value is not None:
                    yield value
    finally:
        consumer.close()
