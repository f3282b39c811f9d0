"""Which broker is chosen, in what order, and what is said on the way."""

from pathlib import Path
from typing import Any

import pytest

from streams.dev import broker as choice
from streams.dev import docker_broker
from streams.dev.broker import BrokerKind, UnavailableError, broker_for, open_broker


def refuse(reason: str) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise UnavailableError(reason)

    return raising


def test_the_last_resort_is_the_mock_cluster_and_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_broker, "require_daemon", refuse("no daemon"))
    monkeypatch.setattr(choice, "find_java", refuse("no java"))
    told: list[str] = []

    with broker_for(told.append) as broker:
        assert broker.kind is BrokerKind.MOCK
        assert not broker.is_real
        assert broker.bootstrap.startswith("127.0.0.1:")
        # What is configured is taken as it is, and not ended with the block.
        assert open_broker(told.append, given=broker.bootstrap).kind is BrokerKind.GIVEN

    assert told[:2] == ["not docker: no daemon", "not jars: no java"]
    assert "no compaction" in told[2]


def test_a_given_address_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "GIVEN_TIMEOUT_S", 0.5)

    with pytest.raises(UnavailableError, match=r"no Kafka answers at 127\.0\.0\.1:1"):
        open_broker(pytest.fail, given="127.0.0.1:1")


def test_where_no_kind_works_every_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_broker, "require_daemon", refuse("no daemon"))
    monkeypatch.setattr(choice, "find_java", refuse("no java"))

    with pytest.raises(UnavailableError, match="docker: no daemon; jars: no java"):
        open_broker(lambda _: None, kinds=(BrokerKind.DOCKER, BrokerKind.JARS))


def test_a_daemon_that_does_not_answer_is_said_in_the_systems_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    with pytest.raises(UnavailableError, match=r"no Docker daemon answers \(No such file or directory\)"):
        docker_broker.require_daemon()


def test_the_container_advertises_the_address_that_clients_use() -> None:
    environment = docker_broker.environment("192.0.2.7", 31_234)

    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://192.0.2.7:31234"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_a_container_answers_where_there_is_docker() -> None:
    try:
        docker_broker.require_daemon()
    except UnavailableError as error:
        pytest.skip(str(error))
    with broker_for(lambda _: None, kinds=(BrokerKind.DOCKER,)) as broker:
        assert broker.kind is BrokerKind.DOCKER
