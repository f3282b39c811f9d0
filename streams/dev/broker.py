"""A broker without asking: the first kind that works here, the same choice for a developer and for the tests.

    given   an address that somebody configured; nothing is started
    docker  apache/kafka in a container, where a daemon answers
    jars    Apache Kafka from Maven Central or KAFKA_HOME, where there is Java
    mock    librdkafka's mock cluster, with a warning of what it lacks

Each kind that is passed over says why. The data is the caller's folder, or a scratch folder that goes with the
broker.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, assert_never

from streams.dev.docker_broker import DockerBroker
from streams.dev.jars import Report, UnavailableError, find_classpath, find_java
from streams.dev.kafka_process import BrokerFailedError, KafkaProcess, is_ready
from streams.dev.mock_broker import LACKS, MockBroker

GIVEN_TIMEOUT_S: Final = 10.0


class BrokerKind(StrEnum):
    GIVEN = "given"
    DOCKER = "docker"
    JARS = "jars"
    MOCK = "mock"


STARTABLE: Final = (BrokerKind.DOCKER, BrokerKind.JARS, BrokerKind.MOCK)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answers at `bootstrap`. `process` is there for the kind `jars`, for tests that break it."""

    kind: BrokerKind
    bootstrap: str
    stop: Callable[[], None]
    process: KafkaProcess | None = None

    @property
    def is_real(self) -> bool:
        return self.kind is not BrokerKind.MOCK


def open_broker(
    report: Report,
    *,
    given: str | None = None,
    kinds: Sequence[BrokerKind] = STARTABLE,
    folder: Path | None = None,
    port: int | None = None,
) -> Broker:
    """The first kind that works, ready for requests. `UnavailableError` when none does."""
    if given is not None:
        if not is_ready(given, GIVEN_TIMEOUT_S):
            raise UnavailableError(f"no Kafka answers at {given}; start one there, or leave the address out")
        return Broker(BrokerKind.GIVEN, given, lambda: None)
    passed: list[str] = []
    for kind in kinds:
        try:
            broker = _opened(kind, folder, port, report)
        except UnavailableError as error:
            passed.append(f"{kind}: {error}")
            report(f"not {kind}: {error}")
        else:
            if kind is BrokerKind.MOCK:
                report(f"warning: this is {LACKS}")
            return broker
    raise UnavailableError("no broker can run here; " + "; ".join(passed))


@contextmanager
def broker_for(
    report: Report,
    *,
    given: str | None = None,
    kinds: Sequence[BrokerKind] = STARTABLE,
    folder: Path | None = None,
    port: int | None = None,
) -> Iterator[Broker]:
    """`open_broker` for the time of a block."""
    broker = open_broker(report, given=given, kinds=kinds, folder=folder, port=port)
    try:
        yield broker
    finally:
        broker.stop()


def _opened(kind: BrokerKind, folder: Path | None, port: int | None, report: Report) -> Broker:
    match kind:
        case BrokerKind.GIVEN:
            raise UnavailableError("no address was given")
        case BrokerKind.DOCKER:
            container = DockerBroker(port=port, folder=folder / "docker" if folder else None)
            return Broker(kind, container.bootstrap, container.stop)
        case BrokerKind.JARS:
            return _from_jars(folder, port, report)
        case BrokerKind.MOCK:
            mock = MockBroker()
            if port is not None:
                report("the mock cluster chooses its port itself")
            return Broker(kind, mock.bootstrap, mock.stop)
        case _:
            assert_never(kind)


def _from_jars(folder: Path | None, port: int | None, report: Report) -> Broker:
    java = find_java()
    classpath = find_classpath(report)
    scratch = Path(tempfile.mkdtemp(prefix="pegel-kafka-")) if folder is None else None
    process = KafkaProcess(java=java, classpath=classpath, folder=scratch or _kept(folder), port=port)

    def stop() -> None:
        process.stop()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)

    try:
        process.start()
    except BaseException:
        process.kill()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    return Broker(BrokerKind.JARS, process.bootstrap, stop, process)


def _kept(folder: Path | None) -> Path:
    assert folder is not None
    return folder / "kafka"


__all__ = ["STARTABLE", "Broker", "BrokerFailedError", "BrokerKind", "UnavailableError", "broker_for", "open_broker"]
