"""The examination of a real deployment: it finds nothing on a sound one, and each damage by its own check."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.cli import run
from streams.engagement import rows
from streams.engine import codec
from streams.rebuild.log import LogReader
from streams.runtime.partitioner import partition_of
from streams.runtime.position import encode_position
from streams.settings import Settings
from streams.topics import Topics
from tests.kafka.workers import environment, pegel, wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ACCOUNTS = [f"account-{number}" for number in range(12)]
CATALOG = {"PEGEL_ENGAGEMENT__CATALOG": "oss", "PEGEL_ENGAGEMENT__CLOCK": "log"}


def events() -> bytes:
    lines = [
        {
            "type": "track",
            "event": "code_changed",
            "messageId": f"{account}-{day}",
            "userId": f"user-of-{account}",
            "receivedAt": f"2026-03-0{day}T12:00:00Z",
            "context": {"groupId": account},
        }
        for day in (1, 2, 4)
        for account in ACCOUNTS
    ]
    return b"\n".join(json.dumps(line).encode() for line in lines)


class Examination:
    """`pegel doctor` in this process: starting Python takes longer than looking at a small deployment."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        for name, value in environment(settings, CATALOG).items():
            monkeypatch.setenv(name, value)
        self._capsys = capsys

    def __call__(self, *options: str) -> dict[str, dict[str, Any]]:
        self._capsys.readouterr()
        status = run(["doctor", "--json", *options])
        found = {row["check"]: row for row in map(json.loads, self._capsys.readouterr().out.splitlines())}
        assert status == (1 if wrong(found) else 0)
        return found


@pytest.fixture
def examined(
    kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Examination:
    return Examination(kafka_settings, monkeypatch, capsys)


def wrong(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["reason"] for name, row in found.items() if row["level"] != "ok"}


class Damage:
    """Somebody with tools and no manual."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.kafka.topic_prefix)
        self._admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})

    def policy(self, topic: str, policy: str) -> None:
        entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result()

    def offset(self, stage: str, topic: str, partition: int, by: int) -> None:
        group = self._topics.group(stage)
        (found,) = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
        (at,) = [one for one in found.result().topic_partitions if (one.topic, one.partition) == (topic, partition)]
        moved = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition, at.offset + by)])
        # The group knows workers with fixed names until their session ends, and takes no offsets meanwhile.
        wait_for(lambda: self._is_accepted(moved))

    def _is_accepted(self, moved: ConsumerGroupTopicPartitions) -> bool:
        (altered,) = self._admin.alter_consumer_group_offsets([moved]).values()
        return all(one.error is None for one in altered.result().topic_partitions)

    def row(self, account: str, damaged: Callable[[bytes], bytes | None]) -> None:
        """Write a row as if a flush had."""
        topic, key = self._topics.accounts_changelog, rows.ACCOUNT + account.encode()
        partition = partition_of(account.encode(), self._settings.kafka.partitions)
        with LogReader(self._settings.kafka) as reader:
            ending = reader.ending(topic, partition)
            found = {one.key: one.value for one in reader.records(topic, partition, 0, ending.end)}[key]
        assert found is not None
        producer = Producer({"bootstrap.servers": self._settings.kafka.bootstrap})
        producer.produce(topic, damaged(found), key, partition=partition)
        producer.produce(topic, encode_position(ending.position.next), b"", partition=partition)
        assert producer.flush(30) == 0


def one_event_more(stored: bytes) -> bytes:
    account = codec.decode(stored)
    account.total += 1
    return codec.encode(account)


def test_nothing_is_found_on_a_sound_deployment_at_work_and_each_damage_by_its_check(
    deployment: Settings, examined: Examination, tmp_path: Path
) -> None:
    with workers(deployment, tmp_path, CATALOG, "intake", "engagement", "router", "courier") as running:
        assert pegel(deployment, "publish", "-", stdin=events()).returncode == 0
        wait_until_settled(running["engagement"], 3 * len(ACCOUNTS))
        assert wrong(examined()) == {}

    topics, damage = Topics(deployment.kafka.topic_prefix), Damage(deployment)
    damage.policy(topics.membership, "delete")
    damage.policy(topics.transitions, "compact")
    damage.row("account-3", lambda _stored: None)
    damage.row("account-5", one_event_more)
    damage.offset("engagement", topics.account_events, 1, by=1)
    damage.offset("intake", topics.product_events, 2, by=-1)
    found = wrong(examined())
    assert found.keys() == {"cleanup", "positions", "workers", "state-against-log", "memberships"}
    assert topics.membership in found["cleanup"]
    assert topics.transitions in found["cleanup"]
    assert "engagement 1" in found["positions"]
    assert "account-3 missing in the state" in found["state-against-log"]
    assert "account-5 differs in total" in found["state-against-log"]
    assert found["memberships"].endswith("account-3: there is one, and no state")

    assert wrong(examined("--accounts", "account-1")).keys() == {"cleanup", "positions", "workers"}


def test_a_worker_that_ends_again_and_again_is_found_by_what_it_does_not_read(
    deployment: Settings, examined: Examination, tmp_path: Path
) -> None:
    patient = deployment.kafka.model_copy(update={"session_timeout_ms": 30_000})
    with workers(deployment.model_copy(update={"kafka": patient}), tmp_path, CATALOG, "intake") as running:
        assert pegel(deployment, "publish", "-", stdin=events()).returncode == 0
        wait_until_settled(running["intake"], 3 * len(ACCOUNTS))
        assert examined()["progress"]["level"] == "ok"
        running["intake"].kill()  # its name stays in the group, as that of a worker that is started again and ends
        assert pegel(deployment, "publish", "-", stdin=events()).returncode == 0
        found = examined()

    assert found["progress"]["level"] == "fail"
    assert "intake partition 0 (worker test-intake) at " in found["progress"]["reason"]
    assert "worker_stops" in found["progress"]["fix"]
    assert found["lag"]["level"] == "ok"


def test_a_deployment_that_was_never_started_lacks_its_workers_and_nothing_else(
    deployment: Settings, examined: Examination
) -> None:
    assert wrong(examined()).keys() == {"workers"}


def test_topics_that_are_missing_are_said_and_what_needs_them_is_not_looked_at(examined: Examination) -> None:
    found = examined()
    assert found["topics"]["level"] == "fail"
    assert found["topics"]["fix"] == "pegel topics apply"
    assert found["state-against-log"]["level"] == "warn"


def test_brokers_that_cannot_be_reached_are_no_finding() -> None:
    assert run(["doctor", "--bootstrap", "127.0.0.1:1"]) == 3
