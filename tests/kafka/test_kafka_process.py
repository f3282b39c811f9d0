"""Laws of the development broker: it keeps its data and its address, and never outlives its owner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.dev.broker import Broker
from streams.dev.jars import find_classpath, find_java
from streams.dev.kafka_process import BrokerFailedError, KafkaProcess
from streams.dumping import TopicReader
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import specs

pytestmark = pytest.mark.kafka


@pytest.fixture
def process(kafka: Broker, tmp_path: Path) -> Iterator[KafkaProcess]:
    if kafka.process is None:
        pytest.skip(f"the broker here is of the kind {kafka.kind}, not a process of ours")
    process = KafkaProcess(java=find_java(), classpath=find_classpath(lambda _: None), folder=tmp_path / "kafka")
    yield process
    process.kill()


def values(bootstrap: str) -> list[bytes]:
    kafka = KafkaSettings(bootstrap=bootstrap)
    return [message.value() for message in TopicReader(kafka, "product.events.v1").records()]


def publish(bootstrap: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce("product.events.v1", value, b"key")
    assert producer.flush(30) == 0


def test_address_and_data_survive_a_kill_and_a_restart(process: KafkaProcess) -> None:
    process.start()
    bootstrap, pid = process.bootstrap, process.pid
    settings = Settings(kafka=KafkaSettings(bootstrap=bootstrap, partitions=1))
    TopicAdmin(settings.kafka).apply(specs(settings))
    publish(bootstrap, b"1")

    process.kill()
    assert not process.running
    process.start()
    publish(bootstrap, b"2")
    process.restart()

    assert process.bootstrap == bootstrap
    assert process.pid != pid
    assert values(bootstrap) == [b"1", b"2"]


def test_a_port_that_is_taken_is_named(kafka: Broker, tmp_path: Path) -> None:
    if kafka.process is None:
        pytest.skip(f"the broker here is of the kind {kafka.kind}, not a process of ours")
    taken = int(kafka.bootstrap.rpartition(":")[2])
    second = KafkaProcess(java=find_java(), classpath=find_classpath(lambda _: None), folder=tmp_path, port=taken)

    with pytest.raises(BrokerFailedError, match=f"port {taken} is taken"):
        second.start()
    assert not second.running


class Foreground:
    """`pegel dev kafka` as a user runs it."""

    def __init__(self, *arguments: str) -> None:
        code = "from streams.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "dev", "kafka", "--kind", "jars", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.bootstrap = self.process.stdout.readline().strip()

    def java(self) -> list[int]:
        """Processes whose parent is ours."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:  # it ended while we looked
                continue
            if int(fields[1]) == self.process.pid:
                found.append(int(status.parent.name))
        return found


def gone(pid: int, within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_in_the_foreground_it_prints_its_address_first_and_leaves_no_process(kafka: Broker, number: int) -> None:
    if kafka.process is None:
        pytest.skip(f"the broker here is of the kind {kafka.kind}, not a process of ours")
    foreground = Foreground()
    try:
        (java,) = foreground.java()
        assert TopicAdmin(KafkaSettings(bootstrap=foreground.bootstrap)).names() is not None

        os.kill(foreground.process.pid, number)
        status = foreground.process.wait(60)

        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
        assert gone(java)
    finally:
        foreground.process.kill()
        foreground.process.communicate()


def test_data_kept_in_a_folder_are_there_the_next_time(kafka: Broker, tmp_path: Path) -> None:
    if kafka.process is None:
        pytest.skip(f"the broker here is of the kind {kafka.kind}, not a process of ours")
    for value in (b"1", b"2"):
        foreground = Foreground("--dir", str(tmp_path))
        try:
            settings = Settings(kafka=KafkaSettings(bootstrap=foreground.bootstrap, partitions=1))
            TopicAdmin(settings.kafka).apply(specs(settings))
            publish(foreground.bootstrap, value)
            seen = values(foreground.bootstrap)
        finally:
            foreground.process.terminate()
            foreground.process.communicate(timeout=60)
    assert seen == [b"1", b"2"]
