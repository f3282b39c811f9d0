"""Brokers with proxies in front of them, for as long as a block lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.dev.kafka_cluster import KafkaCluster
from streams.dev.ports import LOOPBACK, free_ports
from tests.chaos.proxy import ProxyThread

START_TIMEOUT_S: Final = 300.0


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


@contextmanager
def world(java: Java, folder: Path, servers: int) -> Iterator[World]:
    doors = free_ports(servers)
    proxies = ProxyThread()
    brokers = KafkaCluster(java=java.java, classpath=java.classpath, folder=folder, servers=servers, advertised=doors)
    try:
        for door, side in zip(doors, brokers.side_ports, strict=True):
            proxies.add(door, side)
        brokers.start(START_TIMEOUT_S)
        yield World(brokers, proxies)
    finally:
        brokers.kill()
        proxies.close()
