"""Laws of the lists of permissions."""

import json
import re
from pathlib import Path

import pytest

from streams.app import permissions_of
from streams.cli import run
from streams.security.permissions import Operation, Resource
from streams.security.roles import STAGES, Role
from streams.settings import KafkaSettings, RuntimeSettings, Settings, load
from streams.topics import Topics

SETTINGS = Settings(kafka=KafkaSettings(topic_prefix="blue."))
TOPICS = Topics("blue.")


@pytest.mark.parametrize("role", Role)
def test_a_role_is_allowed_things_of_its_deployment_and_none_twice(role: Role) -> None:
    listed = permissions_of(role, SETTINGS)

    assert listed
    assert len(set(listed)) == len(listed)
    for one in listed:
        assert one.name.startswith("blue.") or one.operation is Operation.DESCRIBE, one


def test_only_the_administrator_may_make_or_change_a_topic() -> None:
    changing = {Operation.CREATE, Operation.ALTER, Operation.ALTER_CONFIGS, Operation.DELETE}
    for role in Role:
        assert any(one.operation in changing for one in permissions_of(role, SETTINGS)) is (role is Role.ADMINISTRATOR)


def test_no_worker_may_write_what_another_stage_decides() -> None:
    writers = {
        topic: {
            role
            for role in STAGES
            for one in permissions_of(role, SETTINGS)
            if one.resource is Resource.TOPIC and one.name == topic and one.operation is Operation.WRITE
        }
        for topic in (TOPICS.transitions, TOPICS.membership, TOPICS.identity_changelog, TOPICS.inbox, TOPICS.actions)
    }
    assert writers == {
        TOPICS.transitions: {Role.ENGAGEMENT},
        TOPICS.membership: {Role.ENGAGEMENT},
        TOPICS.identity_changelog: {Role.INTAKE},
        TOPICS.inbox: {Role.ROUTER},
        TOPICS.actions: {Role.COURIER},
    }


def test_without_transactions_a_worker_needs_no_transactional_id() -> None:
    settings = Settings(runtime=RuntimeSettings.model_validate({"guarantee": "at_least_once"}))
    for role in STAGES:
        kinds = {one.resource for one in permissions_of(role, settings)}
        assert kinds == {Resource.TOPIC, Resource.GROUP}


def test_the_command_lists_what_is_checked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", "blue.")
    assert run(["topics", "acls", "intake", "--json", "--principal", "User:{role}-1"]) == 0

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["principal"] for row in rows} == {"User:intake-1"}
    assert {(row["resource"], row["name"], row["operation"], row["pattern"]) for row in rows} == {
        (one.resource.value, one.name, one.operation.value, "prefixed" if one.prefixed else "literal")
        for one in permissions_of(Role.INTAKE, SETTINGS)
    }


def test_the_page_on_security_lists_what_the_command_lists(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    for role in Role:
        assert run(["topics", "acls", role.value]) == 0
        listed = capsys.readouterr().out
        assert f"```\n{listed}```" in page, f"the list of {role} in docs/security.md is out of date: paste\n{listed}"


def test_every_example_of_the_page_is_a_configuration_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 5
    for variable in ("SASL_PASSWORD", "SASL_OAUTHBEARER_CLIENT_SECRET", "SSL_KEY_PASSWORD"):
        monkeypatch.setenv(f"PEGEL_KAFKA__{variable}", "from-the-environment")
    (tmp_path / "some.pem").touch()
    for example in examples:
        config = tmp_path / "pegel.yaml"
        config.write_text(re.sub(r"(_file: )\S+", rf"\g<1>{tmp_path}/some.pem", example))
        if "ssl_key_file" not in example:
            monkeypatch.delenv("PEGEL_KAFKA__SSL_KEY_PASSWORD", raising=False)
        else:
            monkeypatch.setenv("PEGEL_KAFKA__SSL_KEY_PASSWORD", "from-the-environment")
        assert load(config).settings.kafka.security_protocol != "PLAINTEXT"
