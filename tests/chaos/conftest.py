"""Brokers to break: a cluster of three behind proxies, shared by the tests of a module, and a single one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from streams.dev.jars import UnavailableError, find_classpath, find_java
from streams.dev.kafka_cluster import KafkaCluster
from streams.dev.ports import LOOPBACK, lasting_ports
from tests.chaos.proxy import ProxyThread
from tests.chaos.storm import note

SEED: Final = 20261122


@dataclass(frozen=True, slots=True)
class World:
    """Brokers, and proxies in front of them through which workers must go."""

    brokers: KafkaCluster
    proxies: ProxyThread

    @property
    def copies(self) -> int:
        return len(self.brokers.servers)

    @property
    def copies_min(self) -> int:
        return self.copies // 2 + 1

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


@contextmanager
def world(java: Java, folder: Path, servers: int) -> Iterator[World]:
    doors = lasting_ports(servers)
    proxies = ProxyThread()
    brokers = KafkaCluster(java=java.java, classpath=java.classpath, folder=folder, servers=servers, advertised=doors)
    try:
        for door, side in zip(doors, brokers.side_ports, strict=True):
            proxies.add(door, side)
        brokers.start()
        yield World(brokers, proxies)
    finally:
        brokers.kill()
        proxies.close()


@pytest.fixture(scope="package")
def cluster(java: Java, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(java, tmp_path_factory.mktemp("cluster"), servers=3) as three:
        yield three
