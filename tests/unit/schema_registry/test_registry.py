"""`pegel schemas register` and `check` against a registry over HTTP.

PEGEL_TEST_REGISTRY names a real one, which must be empty: then the tests that need no fault are run against it too.
"""

import asyncio
import copy
import json
import os
from collections.abc import AsyncIterator
from typing import Any, Final

import jsonschema
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from schemas.compatibility import BOTH
from schemas.generate import json_schema
from streams.cli import ExitStatus, run
from streams.dev.ports import free_ports
from streams.schema_registry.desired import LEVEL, subjects
from streams.schema_registry.standing import Found, Standing, judge
from streams.topics import Topics
from tests.providers.faults import status
from tests.providers.schema_registry import PASSWORD, USER, SchemaRegistry
from tests.providers.server import ProviderServer

SUBJECTS: Final = subjects(Topics())
TRANSITION: Final = next(one for one in SUBJECTS if one.contract == "transition")
NAMES: Final = [one.name for one in SUBJECTS]
REAL: Final = os.environ.get("PEGEL_TEST_REGISTRY")


def without(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """As if the field had come later."""
    earlier = copy.deepcopy(schema)
    del earlier["properties"][name]
    earlier["required"] = [one for one in earlier["required"] if one != name]
    return earlier


def with_optional(schema: dict[str, Any], name: str) -> dict[str, Any]:
    later = copy.deepcopy(schema)
    later["properties"][name] = {"type": "string"}
    return later


@pytest.fixture
def registry() -> SchemaRegistry:
    return SchemaRegistry()


@pytest.fixture
async def server(registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProviderServer]:
    async with ProviderServer(registry) as running:
        monkeypatch.setenv("PEGEL_REGISTRY__URL", running.url())
        yield running


async def pegel(*arguments: str) -> int:
    return await asyncio.to_thread(run, ["schemas", *arguments])


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {row["subject"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}


@pytest.mark.parametrize("subject", SUBJECTS, ids=NAMES)
def test_a_schema_in_draft_7_is_one_and_takes_the_same_examples(subject: Any) -> None:
    jsonschema.Draft7Validator.check_schema(subject.schema)
    for example in json_schema(subject.contract)["examples"]:
        jsonschema.Draft7Validator(subject.schema).validate(example)
    required = json_schema(subject.contract)["required"]
    lacking = {name: value for name, value in example.items() if name != required[0]}
    assert not jsonschema.Draft7Validator(subject.schema).is_valid(lacking)


def test_subjects_are_named_by_topic_with_its_prefix() -> None:
    assert [one.name for one in subjects(Topics("prod."))] == [f"prod.{name}" for name in NAMES]
    assert NAMES == [
        "product.events.v1-value",
        "segments.transitions.v1-value",
        "segments.membership.v1-value",
        "playbook.actions.v1-value",
    ]


async def test_all_contracts_are_registered_once_under_the_level_that_lets_them_grow(
    server: ProviderServer, registry: SchemaRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await pegel("register", "--json") == ExitStatus.OK
    assert {name: row["standing"] for name, row in rows(capsys).items()} == dict.fromkeys(NAMES, "registered")
    assert {name: kept.level for name, kept in registry.subjects.items()} == dict.fromkeys(NAMES, LEVEL)
    assert registry.subjects[TRANSITION.name].versions == [TRANSITION.schema]
    assert await pegel("register") == ExitStatus.OK
    assert len(server.asked("register")) == len(NAMES)
    assert await pegel("check") == ExitStatus.OK


@pytest.mark.parametrize("command", [("check",), ("register", "--dry-run")])
async def test_looking_changes_nothing_and_says_what_is_missing(
    server: ProviderServer, registry: SchemaRegistry, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert await pegel(*command) == ExitStatus.FAILURE
    told = capsys.readouterr()
    assert told.out.splitlines() == [f"{'missing':<20}  {name}" for name in NAMES]
    assert registry.subjects == {}
    assert all(ask.method == "GET" for ask in server.seen)


async def test_a_field_that_came_to_a_contract_becomes_another_version(
    server: ProviderServer, registry: SchemaRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.put(NAMES[3], without_optional(SUBJECTS[3].schema), LEVEL)
    assert await pegel("check", "--json") == ExitStatus.FAILURE
    assert rows(capsys)[NAMES[3]]["standing"] == "compatible"
    assert await pegel("register", "--json") == ExitStatus.OK
    assert (rows(capsys)[NAMES[3]]["version"], len(registry.subjects[NAMES[3]].versions)) == (2, 2)


def without_optional(schema: dict[str, Any]) -> dict[str, Any]:
    return without(schema, next(name for name in schema["properties"] if name not in schema["required"]))


async def test_a_contract_that_would_break_readers_is_refused_and_then_nothing_is_registered(
    server: ProviderServer, registry: SchemaRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.put(TRANSITION.name, with_optional(TRANSITION.schema, "renamed_since"), "NONE")
    for command in ("check", "register"):
        assert await pegel(command, "--json") == ExitStatus.INVALID
        row = rows(capsys)[TRANSITION.name]
        assert (row["standing"], row["details"]) == ("refused_by_us", ["renamed_since: property_removed"])
    assert registry.subjects.keys() == {TRANSITION.name}


async def test_a_contract_that_the_registry_does_not_take_is_refused(
    server: ProviderServer, registry: SchemaRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a registry a new field of an open schema breaks what was written before: FULL would let nothing grow."""
    registry.put(NAMES[3], without_optional(SUBJECTS[3].schema), "FULL_TRANSITIVE")
    assert await pegel("register", "--json") == ExitStatus.INVALID
    row = rows(capsys)[NAMES[3]]
    assert (row["standing"], row["details"]) == (
        "refused_by_registry",
        ["its level is FULL_TRANSITIVE; set it to FORWARD_TRANSITIVE"],
    )


async def test_another_level_is_told_and_set(
    server: ProviderServer, registry: SchemaRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.put(TRANSITION.name, TRANSITION.schema)
    assert await pegel("check", "--json") == ExitStatus.FAILURE
    row = rows(capsys)[TRANSITION.name]
    assert (row["standing"], row["level"]) == ("level_differs", "BACKWARD")
    assert await pegel("register") == ExitStatus.OK
    assert registry.subjects[TRANSITION.name].level == LEVEL


async def test_a_registry_that_asks_for_a_login_gets_it_and_it_is_told_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ProviderServer(SchemaRegistry(login=True)) as running:
        monkeypatch.setenv("PEGEL_REGISTRY__URL", running.url())
        assert await pegel("check") == ExitStatus.FAILURE
        assert "does not let us" in capsys.readouterr().err
        monkeypatch.setenv("PEGEL_REGISTRY__USERNAME", USER)
        monkeypatch.setenv("PEGEL_REGISTRY__PASSWORD", PASSWORD)
        assert await pegel("register") == ExitStatus.OK
        told = capsys.readouterr()
        assert PASSWORD not in told.out + told.err


async def test_a_registry_that_stumbles_is_asked_again(server: ProviderServer) -> None:
    server.script("register", status(503), status(500))
    assert await pegel("register") == ExitStatus.OK


async def test_a_registry_that_fails_for_good_is_told(
    server: ProviderServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.always["latest"] = status(500, b'{"error_code": 50001, "message": "store is down"}')
    assert await pegel("check") == ExitStatus.FAILURE
    assert "fails: store is down (HTTP 500)" in capsys.readouterr().err


def test_a_registry_that_is_not_there_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("PEGEL_REGISTRY__URL", f"http://127.0.0.1:{port}")
    assert run(["schemas", "check"]) == ExitStatus.UNREACHABLE
    assert f"does not answer at http://127.0.0.1:{port}" in capsys.readouterr().err


def test_without_an_address_it_says_which_setting_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "register"]) == ExitStatus.USAGE
    assert "PEGEL_REGISTRY__URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        (None, Standing.MISSING),
        (Found(TRANSITION.schema, 1, 1, LEVEL, accepts=True), Standing.REGISTERED),
        (Found(TRANSITION.schema, 1, 1, "NONE", accepts=True), Standing.LEVEL_DIFFERS),
        (Found({**TRANSITION.schema, "description": "x"}, 1, 1, LEVEL, accepts=True), Standing.COMPATIBLE),
        (Found({**TRANSITION.schema, "description": "x"}, 1, 1, LEVEL, accepts=False), Standing.REFUSED_BY_REGISTRY),
        (Found(with_optional(TRANSITION.schema, "x"), 1, 1, LEVEL, accepts=True), Standing.REFUSED_BY_US),
    ],
)
def test_every_standing_has_its_cause(found: Found | None, standing: Standing) -> None:
    assert judge(TRANSITION, found).standing is standing
    assert TRANSITION.sides == BOTH


@pytest.mark.skipif(REAL is None, reason="PEGEL_TEST_REGISTRY names no real registry")
def test_a_real_registry_takes_them_and_lets_them_grow_but_not_shrink(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert REAL is not None
    monkeypatch.setenv("PEGEL_REGISTRY__URL", REAL)
    assert run(["schemas", "register", "--json"]) == ExitStatus.OK
    assert {row["standing"] for row in rows(capsys).values()} == {"registered"}
    assert run(["schemas", "check"]) == ExitStatus.OK
    client = SchemaRegistryClient({"url": REAL})
    for schema, fits in (
        (with_optional(TRANSITION.schema, "x"), True),
        (without(TRANSITION.schema, "trigger"), False),
    ):
        assert client.test_compatibility_all_versions(TRANSITION.name, Schema(json.dumps(schema), "JSON")) is fits
    newest = client.get_latest_version(TRANSITION.name)
    assert json.loads(newest.schema.schema_str) == TRANSITION.schema
