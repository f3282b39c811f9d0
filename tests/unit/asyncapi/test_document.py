"""The AsyncAPI document says what topics, schemas and stages say."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from schemas.generate import folder
from streams.app import AGENTS, permissions_of
from streams.asyncapi.document import document, rendered
from streams.asyncapi.file import out_of_step
from streams.asyncapi.messages import BYTES, CHANNELS, MESSAGES
from streams.asyncapi.story import tell
from streams.security.permissions import Operation, Resource
from streams.security.roles import Role
from streams.settings import KafkaSettings, Settings
from streams.topics import NAMES, Topics, specs
from tests.toolchains import node_program

CHECK: Final = Path(__file__).parents[2] / "toolchains" / "asyncapi"
DOCUMENT: Final = document(Settings())
STORY: Final = tell(Topics())
SEVERITY_ERROR: Final = 0
SEVERITY_WARNING: Final = 1


def validator(schema: Any) -> jsonschema.Draft202012Validator:
    """Of a schema inside the document, whose references point into it."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for content in value.values():
            yield from references(content)
    elif isinstance(value, list):
        for content in value:
            yield from references(content)


def at(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_file_is_in_step_with_topics_schemas_and_stages() -> None:
    assert out_of_step(folder()) == [], "run `pegel schemas generate`"


def test_every_topic_is_a_channel_as_it_is_laid_out() -> None:
    assert CHANNELS.keys() == NAMES.keys()
    channels = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    for spec in specs(Settings()):
        kafka = channels[spec.name]["bindings"]["kafka"]
        assert (kafka["topic"], kafka["partitions"], kafka["replicas"]) == (
            spec.name,
            spec.partitions,
            spec.replication_factor,
        )
        laid_out = {
            name: value[0] if isinstance(value, list) else str(value)
            for name, value in kafka["topicConfiguration"].items()
        }
        assert laid_out == spec.configs


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        assert at(reference) is not None


def test_the_story_has_every_kind_of_record_but_rows_of_state() -> None:
    assert {seen.message for seen in STORY} == MESSAGES.keys() - {"row"}
    assert all(seen.message in CHANNELS[seen.channel] for seen in STORY)


@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "row"])
def test_what_the_stages_write_is_what_the_document_says(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    for seen in (seen for seen in STORY if seen.message == name):
        headers = {header: None if value is None else value.decode() for header, value in seen.headers}
        validator(message["headers"]).validate(headers)
        key = None if seen.key is None else seen.key.decode()
        validator(message["bindings"]["kafka"]["key"]).validate(key)
        text = (seen.value or b"null").decode()
        validator(message["payload"]).validate(text if message["contentType"] == BYTES else json.loads(text))


@pytest.mark.parametrize("name", ["productEvent", "accountEvent", "transition", "routed", "command", "action"])
def test_every_header_that_the_stages_write_is_named(name: str) -> None:
    named = DOCUMENT["components"]["messages"][name]["headers"]["properties"].keys()
    for seen in (seen for seen in STORY if seen.message == name):
        assert {header for header, _ in seen.headers} <= named


def test_a_trace_goes_from_an_event_to_what_it_led_to() -> None:
    traced = {seen.message for seen in STORY if "traceparent" in dict(seen.headers)}
    assert traced >= {"productEvent", "accountEvent", "transition", "routed"}


@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "row"])
def test_every_example_keeps_to_its_schemas(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    assert message["examples"]
    for example in message["examples"]:
        validator(message["headers"]).validate(example["headers"])
        validator(message["payload"]).validate(example["payload"])


def test_a_header_that_is_missing_or_foreign_is_told() -> None:
    headers = DOCUMENT["components"]["messages"]["action"]["headers"]
    assert validator(headers).is_valid({"content-type": "application/json"})
    assert not validator(headers).is_valid({})
    assert not validator(headers).is_valid({"content-type": "application/json", "x": "y"})
    transition = DOCUMENT["components"]["messages"]["transition"]["headers"]
    (example, *_) = DOCUMENT["components"]["messages"]["transition"]["examples"]
    assert not validator(transition).is_valid({**example["headers"], "ce_type": "pegel.segment.transition.v2"})


def test_the_operations_are_what_each_role_must_be_allowed() -> None:
    found = {
        (operation["tags"][0]["name"], operation["action"], at(operation["channel"]["$ref"])["address"])
        for operation in DOCUMENT["operations"].values()
    }
    for role in AGENTS:
        wanted = {
            (role, "receive" if one.operation is Operation.READ else "send", one.name)
            for one in permissions_of(Role(role), Settings())
            if one.resource is Resource.TOPIC and one.operation in (Operation.READ, Operation.WRITE)
        }
        assert {one for one in found if one[0] == role} == wanted
    topics = Topics()
    assert ("publisher", "send", topics.product_events) in found
    assert {one[2] for one in found if one[0] == "reader"} >= {topics.transitions, topics.membership, topics.actions}
    assert ("reader", "receive", topics.accounts_changelog) not in found


def test_an_operation_names_messages_of_its_channel_alone() -> None:
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"]
        messages = [message["$ref"] for message in operation["messages"]]
        assert messages
        assert all(message.startswith(f"{channel}/messages/") for message in messages)


def test_a_deployment_has_its_own_names_brokers_and_login() -> None:
    kafka = KafkaSettings.model_validate(
        {
            "bootstrap": "broker-7:9093", "topic_prefix": "prod.", "partitions": 12, "security_protocol": "SASL_SSL",
            "sasl_username": "pegel", "sasl_password": "hush",
        }
    )  # fmt: skip
    text = rendered(Settings(kafka=kafka))
    assert "hush" not in text
    made = yaml.safe_load(text)
    assert made["servers"]["configured"]["host"] == "broker-7:9093"
    assert made["servers"]["configured"]["security"] == [{"$ref": "#/components/securitySchemes/scramSha512"}]
    assert made["channels"]["transitions"]["address"] == "prod.segments.transitions.v1"
    assert made["channels"]["transitions"]["bindings"]["kafka"]["partitions"] == 12
    groups = made["operations"]["engagementReceivesAccountEvents"]["bindings"]["kafka"]["groupId"]["enum"]
    assert groups == ["prod.pegel.engagement"]


def test_the_reference_parser_accepts_it_without_a_word_of_warning() -> None:
    run = subprocess.run(
        node_program(CHECK, "check.mjs"),
        input=rendered(Settings()), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert [one for one in found["said"] if one["severity"] in (SEVERITY_ERROR, SEVERITY_WARNING)] == []
    assert found["accepted"]
    assert sorted(found["channels"]) == sorted(Topics().all())
    assert found["examples"] == sum(len(one.get("examples", ())) for one in DOCUMENT["components"]["messages"].values())


def test_the_reference_parser_refuses_a_document_that_is_wrong() -> None:
    wrong = document(Settings())
    wrong["channels"]["transitions"]["bindings"]["kafka"]["partitions"] = 0
    run = subprocess.run(
        node_program(CHECK, "check.mjs"),
        input=json.dumps(wrong), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert not found["accepted"]
    assert any("partitions" in one["path"] for one in found["said"] if one["severity"] == SEVERITY_ERROR)
