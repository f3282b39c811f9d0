"""The models, the JSON Schema files, the examples and the derived structs say the same."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from pydantic import ValidationError

from schemas.generate import CONTRACTS, folder, json_schema, out_of_step, write
from schemas.membership import (
    Membership,
    WireMembership,
    WireSegmentMembership,
    decode_membership,
)
from schemas.transition import (
    Direction,
    Transition,
    WireForecast,
    WireTransition,
    WireTrigger,
    decode_transition,
    encode_transition,
)

NAMES = tuple(CONTRACTS)


def examples(name: str) -> list[Any]:
    found = json_schema(name)["examples"]
    assert found, "every contract has an example"
    return list(found)


def test_the_files_are_in_step_with_the_models() -> None:
    assert out_of_step(folder()) == [], "run `pegel schemas generate`"


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_example_keeps_to_model_and_schema(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(name), format_checker=jsonschema.FormatChecker())
    for example in examples(name):
        validator.validate(example)
        CONTRACTS[name].model_validate_json(json.dumps(example))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "event"])
def test_a_required_field_is_missed_by_model_and_schema(name: str) -> None:
    schema = json_schema(name)
    validator = jsonschema.Draft202012Validator(schema)
    for example in examples(name):
        for field in schema.get("required", []):
            lacking = {key: value for key, value in example.items() if key != field}
            assert not validator.is_valid(lacking)
            with pytest.raises(ValidationError):
                CONTRACTS[name].model_validate_json(json.dumps(lacking))


@pytest.mark.parametrize(
    "wrong", [{}, {"type": "track"}, {"type": "track", "event": ""}, {"type": "other"}, [], None, 5]
)
def test_the_schema_of_the_event_refuses_what_the_model_refuses(wrong: Any) -> None:
    assert not jsonschema.Draft202012Validator(json_schema("event")).is_valid(wrong)
    with pytest.raises(ValidationError):
        CONTRACTS["event"].model_validate_json(json.dumps(wrong))


def test_files_are_written_when_missing_or_changed_and_strangers_removed(tmp_path: Path) -> None:
    assert len(write(tmp_path)) == len(CONTRACTS)
    assert write(tmp_path) == []
    changed, stranger = tmp_path / "event.schema.json", tmp_path / "gone.schema.json"
    changed.write_text("{}")
    stranger.write_text("{}")
    assert out_of_step(tmp_path) == [changed, stranger]
    assert write(tmp_path) == [changed, stranger]
    assert out_of_step(tmp_path) == []
    assert not stranger.exists()


def transition(**fields: Any) -> WireTransition:
    return WireTransition(
        **{
            "transition_id": "5b1a8a52-6a3c-5d0e-9f57-0f1f5d2c8a11",
            "account_id": "acmé",
            "segment": "mature",
            "direction": Direction.MOVED,
            "group": "lifecycle",
            "from_segment": "new",
            "effective_at": "2026-03-01T12:34:56.789Z",
            "sequence": 3,
            "catalog_version": "abc",
            "evidence": {"values": {"score": 1.5, "stage": "trial", "none": None}},
            "trigger": WireTrigger(message_id="m", type="track"),
            "entered_at": "2026-02-01T00:00:00.000Z",
            "dwell_seconds": 12.25,
            "forecast": WireForecast(leaves_at="2026-04-01T00:00:00.000Z", direction=Direction.EXITED),
            "emitted_at": None,
            **fields,
        }
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"direction": Direction.ENTERED, "from_segment": None, "entered_at": None, "dwell_seconds": None},
        {"direction": Direction.EXITED, "from_segment": None, "forecast": None, "trigger": "deadline", "group": None},
        {"emitted_at": "2026-03-01T12:34:57.000Z", "trigger": "catalog", "evidence": {}},
    ],
)
def test_a_written_transition_is_one_to_model_schema_and_reader(fields: dict[str, Any]) -> None:
    written = transition(**fields)
    raw = encode_transition(written)
    model = Transition.model_validate_json(raw)
    jsonschema.Draft202012Validator(json_schema("transition")).validate(json.loads(raw))
    assert json.loads(model.model_dump_json()) == json.loads(raw) == msgspec.to_builtins(written)
    assert list(json.loads(raw)) == list(Transition.model_fields)
    assert decode_transition(raw) == written


def test_an_infinite_number_in_the_evidence_is_written_as_null() -> None:
    raw = encode_transition(transition(evidence={"values": {"since(converted_at)": float("inf")}}))
    assert Transition.model_validate_json(raw).evidence == {"values": {"since(converted_at)": None}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_segment": None},
        {"direction": Direction.ENTERED},
        {"direction": Direction.EXITED},
        {"entered_at": None},
        {"dwell_seconds": None},
        {"dwell_seconds": -1.0},
        {"sequence": 0},
        {"effective_at": "yesterday"},
        {"transition_id": "x"},
        {"account_id": ""},
        {"account_id": "x" * 256},
        {"trigger": "message"},
    ],
)
def test_the_model_refuses_a_transition_that_contradicts_itself(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Transition.model_validate_json(encode_transition(transition(**wrong)))


def test_a_written_membership_is_one_to_model_schema_and_reader() -> None:
    written = WireMembership(
        account_id="acmé",
        as_of="2026-03-01T12:34:56.789Z",
        stage="customer",
        sequence=3,
        segments=[WireSegmentMembership(segment="new", group=None, entered_at="2026-03-01T12:34:56.789Z")],
        key_numbers={"depth": 4, "nps": None, "ratio": 0.5},
        catalog_version="abc",
    )
    raw = msgspec.json.encode(written)
    model = Membership.model_validate_json(raw)
    jsonschema.Draft202012Validator(json_schema("membership")).validate(json.loads(raw))
    assert json.loads(model.model_dump_json()) == json.loads(raw) == msgspec.to_builtins(written)
    assert list(json.loads(raw)) == list(Membership.model_fields)
    assert decode_membership(raw) == written
