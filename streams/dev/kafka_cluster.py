"""Several Kafka servers as one cluster on this machine, for tests that break single ones.

Theory of operation. Each server is broker and controller, so that losing one takes a leader of partitions and at times
the leader of the quorum. With three servers, three copies and two that must be in sync, losing any one loses nothing
and stops nobody for longer than an election takes; that holds only while the others are in sync, hence
`await_in_sync` between two losses. Ports are chosen outside of what the system gives to clients, for a server's port
must still be its own when it comes back.

The servers are `KafkaProcess`es: each can be stopped, killed and started by itself, from a thread that lives as long as
the cluster is needed.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.dev.kafka_process import START_TIMEOUT_S, BrokerFailedError, KafkaProcess, Node, SideDoor, new_cluster_id
from streams.dev.ports import LOOPBACK, free_ports

HEAP_MB: Final = 320
QUICK_TO_START: Final = ("-XX:TieredStopAtLevel=1",)
IN_SYNC_TIMEOUT_S: Final = 180.0
POLL_S: Final = 0.2
METADATA_TIMEOUT_S: Final = 3.0


class KafkaCluster:
    """`advertised`: a port per server that clients of the side door are told, in place of the server's own."""

    def __init__(
        self, *, java: str, classpath: str, folder: Path, servers: int = 3, advertised: Sequence[int] = ()
    ) -> None:
        assert not advertised or len(advertised) == servers, "a proxy per server, or none"
        ports = free_ports(servers * 3)
        own, controllers, side = ports[:servers], ports[servers : 2 * servers], ports[2 * servers :]
        voters = ",".join(f"{number}@{LOOPBACK}:{port}" for number, port in enumerate(controllers, 1))
        cluster = new_cluster_id()
        self.side_ports = tuple(side)
        self.servers = [
            KafkaProcess(
                java=java,
                classpath=classpath,
                folder=folder / f"server-{place + 1}",
                port=own[place],
                node=Node(
                    number=place + 1,
                    controller_port=controllers[place],
                    voters=voters,
                    cluster=cluster,
                    copies=servers,
                    copies_min=servers // 2 + 1,
                    heap_mb=HEAP_MB,
                    java_options=QUICK_TO_START,
                    side_door=SideDoor(side[place], advertised[place]) if advertised else None,
                ),
            )
            for place in range(servers)
        ]

    @property
    def bootstrap(self) -> str:
        return ",".join(server.bootstrap for server in self.servers)

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start all servers, and return when each takes requests and is a member."""
        deadline = time.monotonic() + timeout_s
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(KafkaProcess.prepare, self.servers))
        for server in self.servers:  # in this thread: a process dies with the thread that started it
            server.launch()
        for server in self.servers:
            server.await_ready(max(1.0, deadline - time.monotonic()))
        self.await_in_sync(max(1.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """End all in good order; without a majority the last ones cannot say good-bye, and are killed."""
        for server in self.servers:
            server.stop(timeout_s=5)

    def kill(self) -> None:
        """End all as in a power cut."""
        for server in self.servers:
            server.kill()

    def await_leaders(self, timeout_s: float = IN_SYNC_TIMEOUT_S) -> None:
        """Return when every partition has a leader that runs."""
        self._await("partitions without a leader", timeout_s, in_sync=False)

    def await_in_sync(self, timeout_s: float = IN_SYNC_TIMEOUT_S) -> None:
        """Return when every server is a member and every partition's copies are all in sync."""
        self._await("copies that are not in sync", timeout_s, in_sync=True)

    def _await(self, what: str, timeout_s: float, *, in_sync: bool) -> None:
        deadline = time.monotonic() + timeout_s
        while (open_ := self._unsettled(in_sync=in_sync)) != []:
            if time.monotonic() > deadline:
                raise BrokerFailedError(f"after {timeout_s:.0f} s there are {what}: {open_[:10]}")
            time.sleep(POLL_S)

    def _unsettled(self, *, in_sync: bool) -> list[str]:
        """What is missing, in words; empty when all is well."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            found = admin.list_topics(timeout=METADATA_TIMEOUT_S)
        except KafkaException as error:
            return [str(error.args[0])]
        if in_sync and len(found.brokers) < len(self.servers):
            return [f"{len(found.brokers)} of {len(self.servers)} servers"]
        running = {number for number, server in enumerate(self.servers, 1) if server.running}
        return [
            f"{topic.topic}-{partition.id}"
            for topic in found.topics.values()
            for partition in topic.partitions.values()
            if partition.leader not in running or (in_sync and len(partition.isrs) < len(partition.replicas))
        ]
