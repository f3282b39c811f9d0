"""A real Apache Kafka (KRaft, broker and controller in one process) on this machine, for development and tests.

Theory of operation. A folder holds everything: the log, the configuration written at each start, and what the process
printed. The first start formats it; each later one, also by another process, goes on with what is there. The address
is chosen at the first start and kept by the object, so that clients find the broker again after `stop`, `kill` and
`restart`. After `kill` the controller takes the new process for a second one of the same name until the old one's
session ends: hence the short session. The quorum is static: the controller's port is then no part of the stored state
and may change between runs. The process dies with the thread that started it (see `tether`): start it from a thread
that lives as long as it is needed.

Alone it is a cluster of one. What makes it one of several is told by its `Node` (see `kafka_cluster`).
"""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.dev import tether
from streams.dev.ports import LOOPBACK, free_ports, is_free
from streams.errors import ExpectedError

HEAP_MB: Final = 512
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 30.0
FORMAT_TIMEOUT_S: Final = 180.0
POLL_S: Final = 0.05
LOG_TAIL_BYTES: Final = 3_000

PROPERTIES: Final = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}{side_listener}
advertised.listeners=PLAINTEXT://{host}:{port}{side_advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SIDE:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
min.insync.replicas={copies_min}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={copies_min}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={copies_min}
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.hours=-1
message.max.bytes=4194304
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
"""


@dataclass(frozen=True, slots=True)
class SideDoor:
    """A second listener, which tells clients another port than its own: that of a proxy in front of it."""

    port: int
    advertised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One server's part in its cluster."""

    number: int = 1
    controller_port: int | None = None
    """Of a quorum it must be known to the others and stay; alone, any will do."""
    voters: str | None = None
    """NUMBER@HOST:PORT of all controllers, separated by commas; nothing: itself alone."""
    cluster: str | None = None
    """The cluster's id, equal for all; nothing: a new one."""
    copies: int = 1
    copies_min: int = 1
    heap_mb: int = HEAP_MB
    java_options: tuple[str, ...] = ()
    side_door: SideDoor | None = None


def new_cluster_id() -> str:
    # No word that begins with a dash: it would be taken for an option.
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


class BrokerFailedError(ExpectedError):
    """The broker did not start, or ended by itself. The text has the end of what it printed."""


class KafkaProcess:
    def __init__(
        self, *, java: str, classpath: str, folder: Path, port: int | None = None, node: Node | None = None
    ) -> None:
        self._java = java
        self._classpath = classpath
        self._folder = folder.resolve()
        self._node = node or Node()
        ports = free_ports(2)
        self._port = port or ports[0]
        self._controller_port = self._node.controller_port or ports[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def log_file(self) -> Path:
        return self._folder / "broker.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start on what the folder holds, and return when the broker takes requests."""
        self.launch()
        self.await_ready(timeout_s)

    def launch(self) -> None:
        """Start without waiting: a member of a quorum gets ready only once others run."""
        assert not self.running, "started twice"
        if not is_free(self._port):
            raise BrokerFailedError(f"port {self._port} is taken; name another")
        properties = self.prepare()
        heap = ["-Xms128m", f"-Xmx{self._node.heap_mb}m", "-XX:+UseSerialGC", *self._node.java_options]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._tethered([*heap, "-Dlog4j2.level=WARN", "-cp", self._classpath, "kafka.Kafka", str(properties)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal goes to the owner, which ends the broker in its own time
            )
        weakref.finalize(self, _end_at_once, self._process)

    def await_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when the broker takes requests."""
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if not self.running:
                raise BrokerFailedError(
                    f"the broker ended while starting; {self.log_file} ends with:\n{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerFailedError(f"the broker did not get ready; {self.log_file} ends with:\n{self._log_tail()}")
            time.sleep(POLL_S)

    def prepare(self) -> Path:
        """Write the configuration, and format the folder unless that was done."""
        properties = self._written_properties()
        if not (self._folder / "log" / "meta.properties").exists():
            self._format(properties)
        return properties

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End in good order; what takes too long is killed."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End as in a power cut."""
        if self._process is not None:
            _end_at_once(self._process)

    def restart(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Come back at the same address with the same data, after `stop`, `kill` or neither."""
        self.stop()
        self.start(timeout_s)

    def wait(self, timeout_s: float) -> int | None:
        """The exit status once the broker has ended, None when it still runs after the time-out."""
        assert self._process is not None, "not started"
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _tethered(self, arguments: list[str]) -> list[str]:
        return [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid()), self._java, *arguments]

    def _written_properties(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        node, side = self._node, self._node.side_door
        text = PROPERTIES.format(
            host=LOOPBACK,
            port=self._port,
            controller_port=self._controller_port,
            log_dir=self._folder / "log",
            number=node.number,
            voters=node.voters or f"{node.number}@{LOOPBACK}:{self._controller_port}",
            copies=node.copies,
            copies_min=node.copies_min,
            side_listener=f",SIDE://{LOOPBACK}:{side.port}" if side else "",
            side_advertised=f",SIDE://{LOOPBACK}:{side.advertised}" if side else "",
        )
        properties.write_text(text, encoding="utf-8")
        return properties

    def _format(self, properties: Path) -> None:
        command = self._tethered(
            ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", self._classpath, "kafka.tools.StorageTool", "format"]
        )
        command += ["-t", self._node.cluster or new_cluster_id(), "-c", str(properties)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
        if run.returncode != 0:
            raise BrokerFailedError(f"formatting {self._folder} failed: {(run.stdout + run.stderr)[-LOG_TAIL_BYTES:]}")

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self._port), timeout=1).close()
        except OSError:
            return False
        return is_ready(self.bootstrap, timeout_s=2)

    def _log_tail(self) -> str:
        raw = self.log_file.read_bytes()[-LOG_TAIL_BYTES:] if self.log_file.exists() else b""
        return raw.decode("utf-8", "replace")


def is_ready(bootstrap: str, timeout_s: float) -> bool:
    """Does a broker at this address answer, and is it a member of its cluster?"""
    from confluent_kafka import KafkaException  # noqa: PLC0415 - slow to import, and only needed here
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    # librdkafka would log each refusal; the caller says what matters.
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2_000})
    try:
        return bool(admin.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def _end_at_once(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
