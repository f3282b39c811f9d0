"""What is asked of Docker, checked against testcontainers' own signatures; the broker behind it is the session's."""

from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
from docker.errors import APIError
from testcontainers.core import container as testcontainers

from streams.dev import docker_broker
from streams.dev.broker import Broker, BrokerFailedError, UnavailableError
from streams.dev.docker_broker import DATA_DIR, IMAGE, LISTENER_PORT, DockerBroker
from streams.dev.ports import free_ports

pytestmark = pytest.mark.kafka


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = create_autospec(testcontainers.DockerContainer, instance=True)
    for name in ("with_bind_ports", "with_env", "with_volume_mapping"):
        getattr(made, name).return_value = made
    made.get_container_host_ip.return_value = "127.0.0.1"
    made.get_logs.return_value = (b"", b"no space left")
    kind = create_autospec(testcontainers.DockerContainer, return_value=made)
    monkeypatch.setattr(testcontainers, "DockerContainer", kind)
    monkeypatch.setattr(docker_broker, "require_daemon", lambda: None)
    made.kind = kind
    return made


def port_of(kafka: Broker) -> int:
    return int(kafka.bootstrap.rpartition(":")[2])


def test_the_container_is_given_its_port_its_settings_and_the_folder(
    kafka: Broker, container: Any, tmp_path: Path
) -> None:
    broker = DockerBroker(port=port_of(kafka), folder=tmp_path / "data")

    assert broker.bootstrap == kafka.bootstrap
    container.kind.assert_called_once_with(IMAGE)
    container.with_bind_ports.assert_called_once_with(LISTENER_PORT, port_of(kafka))
    container.with_volume_mapping.assert_called_once_with(str(tmp_path / "data"), DATA_DIR, "rw")
    given = {call.args for call in container.with_env.call_args_list}
    assert given == set(docker_broker.environment("127.0.0.1", port_of(kafka)).items())

    broker.stop()
    container.stop.assert_called_once_with()


def test_an_image_that_cannot_be_had_makes_docker_unavailable(container: Any) -> None:
    container.start.side_effect = APIError("manifest unknown")

    with pytest.raises(UnavailableError, match=f"Docker cannot run {IMAGE} .manifest unknown"):
        DockerBroker()


def test_a_container_that_does_not_get_ready_is_removed_and_quoted(
    container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_broker, "START_TIMEOUT_S", 1)
    monkeypatch.setattr(docker_broker, "READY_PROBE_S", 0.5)

    with pytest.raises(BrokerFailedError, match="no space left"):
        DockerBroker(port=free_ports(1)[0])
    container.stop.assert_called_once_with()
