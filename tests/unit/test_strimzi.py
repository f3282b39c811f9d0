"""Laws of the resources for Strimzi: they say what the topics and the lists of permissions say."""

import re
from typing import Any

import pytest
import yaml

from streams.app import permissions_of
from streams.cli import run
from streams.security.permissions import Permission, Resource
from streams.security.roles import Role
from streams.settings import KafkaSettings, Settings
from streams.strimzi import resource_name, topic_resource
from streams.topics import NAMES, TopicSpec, specs

KAFKA = KafkaSettings(topic_prefix="Blue_", replication_factor=3, min_insync_replicas=2, partitions=7)
SETTINGS = Settings(kafka=KAFKA)


def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    for name in ("topic_prefix", "replication_factor", "min_insync_replicas", "partitions"):
        monkeypatch.setenv(f"PEGEL_KAFKA__{name.upper()}", str(getattr(KAFKA, name)))
    assert run(["topics", "strimzi", "--cluster", "main", "--user", "blue-{role}"]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def test_every_topic_is_written_as_it_would_be_applied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = [one for one in written(capsys, monkeypatch) if one["kind"] == "KafkaTopic"]

    assert [one["spec"] for one in topics] == [
        {"topicName": spec.name, "partitions": spec.partitions, "replicas": 3, "config": spec.configs}
        for spec in specs(SETTINGS)
    ]


def test_every_role_is_a_user_that_is_allowed_what_it_needs_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"topic": Resource.TOPIC, "group": Resource.GROUP, "transactionalId": Resource.TRANSACTIONAL_ID}
    found = {
        user["metadata"]["name"]: {
            Permission(kinds[one["resource"]["type"]], one["resource"]["name"], operation, pattern == "prefix")
            for one in user["spec"]["authorization"]["acls"]
            for operation in one["operations"]
            for pattern in [one["resource"]["patternType"]]
        }
        for user in written(capsys, monkeypatch)
        if user["kind"] == "KafkaUser"
    }

    assert found == {f"blue-{role}": set(permissions_of(role, SETTINGS)) for role in Role}


def test_resources_have_names_of_dns_and_no_two_the_same() -> None:
    names = [resource_name("_Blue_" + name) for name in NAMES.values()]

    assert [name for name in names if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("spec", specs(Settings()), ids=lambda spec: spec.name)
def test_a_topic_whose_name_is_one_of_dns_needs_no_other(spec: TopicSpec) -> None:
    resource = topic_resource(spec, "kafka")

    assert resource["metadata"]["name"] == spec.name
    assert "topicName" not in resource["spec"]
