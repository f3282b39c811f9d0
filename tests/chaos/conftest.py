"""Brokers to break: a cluster of three behind proxies, shared by the tests of a module, and a single one."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from streams.dev.jars import UnavailableError, find_classpath, find_java
from streams.dev.kafka_cluster import KafkaCluster
from streams.dev.kafka_process import KafkaProcess, Node, SideDoor
from streams.dev.ports import LOOPBACK, lasting_ports
from tests.chaos.proxy import ProxyThread
from tests.chaos.storm import note

SEED: Final = 20261122


@dataclass(frozen=True, slots=True)
class World:
    """Brokers, and proxies in front of them through which workers must go."""

    brokers: KafkaCluster | KafkaProcess
    proxies: ProxyThread
    copies: int
    copies_min: int

    @property
    def bootstrap(self) -> str:
        """Past the proxies, for tests."""
        return self.brokers.bootstrap

    @property
    def door(self) -> str:
        """Through the proxies, for workers."""
        return ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in self.proxies.all)


@dataclass(frozen=True, slots=True)
class Java:
    java: str
    classpath: str


@pytest.fixture(scope="session")
def java() -> Java:
    try:
        return Java(find_java(), find_classpath(note))
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def long_form(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--chaos-long"))


@pytest.fixture
def seed(request: pytest.FixtureRequest, *, long_form: bool) -> int:
    """Given, else always the same in the short form and always another in the long one."""
    given = request.config.getoption("--chaos-seed")
    seed = int(given) if given is not None else time.time_ns() % 1_000_000 if long_form else SEED
    note(f"seed {seed}; again with: --chaos-seed {seed}{' --chaos-long' if long_form else ''}")
    return seed


@pytest.fixture(scope="module")
def cluster(java: Java, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    doors = lasting_ports(3)
    proxies = ProxyThread()
    cluster = KafkaCluster(
        java=java.java, classpath=java.classpath, folder=tmp_path_factory.mktemp("cluster"), advertised=doors
    )
    try:
        for door, side in zip(doors, cluster.side_ports, strict=True):
            proxies.add(door, side)
        cluster.start()
        yield World(cluster, proxies, 3, 2)
    finally:
        cluster.kill()
        proxies.close()


@pytest.fixture
def single(java: Java, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    own, side, door = lasting_ports(3)
    folder = tmp_path_factory.mktemp("single")
    node = Node(heap_mb=256, side_door=SideDoor(side, door))
    broker = KafkaProcess(java=java.java, classpath=java.classpath, folder=folder, port=own, node=node)
    proxies = ProxyThread()
    try:
        proxies.add(door, side)
        broker.start()
        yield World(broker, proxies, 1, 1)
    finally:
        broker.kill()
        proxies.close()
