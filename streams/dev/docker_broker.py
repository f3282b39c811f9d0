"""Apache Kafka from its own image, where a Docker daemon answers.

The broker must advertise an address that clients reach, so the host's port is chosen before the container starts and
mapped to the same listener. testcontainers' reaper removes the container when its owner is gone, however that ended.
"""

import re
from pathlib import Path
from typing import Any, Final

from streams.dev.jars import UnavailableError
from streams.dev.kafka_process import START_TIMEOUT_S, BrokerFailedError, is_ready
from streams.dev.ports import free_ports

IMAGE: Final = "apache/kafka:4.3.1"
LISTENER_PORT: Final = 9092
HEAP: Final = "-Xms128m -Xmx512m"
DATA_DIR: Final = "/var/lib/kafka/data"
PING_TIMEOUT_S: Final = 5
READY_PROBE_S: Final = 2.0


def environment(host: str, port: int) -> dict[str, str]:
    """The image's settings: the same broker as `kafka_process` runs."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{LISTENER_PORT},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{host}:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_LOG_RETENTION_HOURS": "-1",
        "KAFKA_MESSAGE_MAX_BYTES": "4194304",
        "KAFKA_LOG_DIRS": DATA_DIR,
        "KAFKA_HEAP_OPTS": HEAP,
    }


def require_daemon() -> None:
    try:
        import docker  # noqa: PLC0415 - an optional extra, and slow to import
        import testcontainers  # noqa: F401, PLC0415
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError:
        raise UnavailableError("the Python package testcontainers is not installed (extra 'docker')") from None
    try:
        client = docker.from_env(timeout=PING_TIMEOUT_S)
        client.ping()
        client.close()
    except (DockerException, OSError) as error:
        raise UnavailableError(f"no Docker daemon answers ({_cause(error)})") from None


class DockerBroker:
    def __init__(self, *, port: int | None = None, folder: Path | None = None) -> None:
        require_daemon()
        from docker.errors import DockerException  # noqa: PLC0415
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415

        host_port = port or free_ports(1)[0]
        container: Any = DockerContainer(IMAGE).with_bind_ports(LISTENER_PORT, host_port)
        host = container.get_container_host_ip()
        for name, value in environment(host, host_port).items():
            container = container.with_env(name, value)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # the image runs under a uid of its own
            container = container.with_volume_mapping(str(folder.resolve()), DATA_DIR, "rw")
        try:
            container.start()
        except (DockerException, OSError) as error:
            raise UnavailableError(f"Docker cannot run {IMAGE} ({_cause(error)})") from None
        self._container = container
        self.bootstrap = f"{host}:{host_port}"
        if not self._became_ready():
            _, printed = container.get_logs()
            container.stop()
            raise BrokerFailedError(f"{IMAGE} did not get ready: {printed.decode('utf-8', 'replace')[-1_000:]}")

    def stop(self) -> None:
        self._container.stop()

    def _became_ready(self) -> bool:
        return any(is_ready(self.bootstrap, READY_PROBE_S) for _ in range(int(START_TIMEOUT_S / READY_PROBE_S)))


def _cause(error: BaseException) -> str:
    """The innermost reason: requests and urllib3 wrap the system's own words several times."""
    system = re.search(r"\w+Error\(\d+, '([^']+)'\)", str(error))
    return system[1] if system else str(error).strip().partition("\n")[0]
