"""What crosses the wire stays readable: the contracts of today may take the place of those of version 1."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from schemas.compatibility import BOTH, HARMED, Change, Reason, Side, breaking, changes
from schemas.generate import CONTRACTS, SUFFIX, json_schema

FROZEN: Final = Path(__file__).parents[2] / "data" / "schemas" / "v1"
WRITERS: Final = frozenset({Side.WRITERS})
READERS: Final = frozenset({Side.READERS})

WIRE: Final = {
    "event": WRITERS,
    "control-clock": BOTH,
    "control-thresholds": BOTH,
    "control-catalog": BOTH,
    "control-erase": BOTH,
    "control-sketch": BOTH,
    "transition": BOTH,
    "membership": BOTH,
    "dead-letter": BOTH,
    "action": BOTH,
}
"""Who must not be harmed. Events are read by Pegel alone, which is upgraded; all else is read by others too, or by
workers of the version before while an upgrade rolls, and lies in the log for years."""
GROWING: Final = {("dead-letter", "reason"), ("action", "reason"), ("transition", "trigger")}
"""Lists of words that may grow: docs/consuming.md tells readers so."""
PEOPLE: Final = {"catalog", "playbook"}
"""What people write; `pegel catalog check` and `playbook check` tell them what to change."""


def frozen(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FROZEN / f"{name}{SUFFIX}").read_text())
    return found


def allowed(name: str, change: Change) -> bool:
    return change.reason is Reason.VALUE_ADDED and (name, change.place) in GROWING


def test_every_contract_of_the_wire_is_frozen() -> None:
    assert WIRE.keys() | PEOPLE == CONTRACTS.keys()
    assert {file.name.removesuffix(SUFFIX) for file in FROZEN.iterdir()} == WIRE.keys()


@pytest.mark.parametrize("name", WIRE)
def test_a_contract_changes_only_as_writers_and_readers_of_version_1_can_bear(name: str) -> None:
    found = breaking(frozen(name), json_schema(name), WIRE[name])
    assert [str(change) for change in found if not allowed(name, change)] == [], (
        "this needs a new major version: another topic (.v2), another ce_type, and a time in which both are written"
    )


@pytest.mark.parametrize("name", WIRE)
def test_what_was_written_by_version_1_is_read_today(name: str) -> None:
    for example in frozen(name)["examples"]:
        jsonschema.Draft202012Validator(json_schema(name)).validate(example)
        CONTRACTS[name].model_validate_json(json.dumps(example))


@pytest.mark.parametrize("name", [name for name in WIRE if name != "event"])
def test_what_is_written_today_is_read_by_version_1(name: str) -> None:
    for example in json_schema(name)["examples"]:
        jsonschema.Draft202012Validator(frozen(name)).validate(example)


Edit = Callable[[dict[str, Any]], Any]


def drop(name: str) -> Edit:
    return lambda schema: schema["properties"].pop(name)


def set_in(*path: str, value: Any) -> Edit:
    def edit(schema: dict[str, Any]) -> None:
        *inner, last = path
        for part in inner:
            schema = schema.setdefault(part, {})
        schema[last] = value

    return edit


def rename(old: str, new: str) -> Edit:
    return lambda schema: schema["properties"].update({new: schema["properties"].pop(old)})


TEXT: Final = {"type": "string"}
NUMBER_OR_NONE: Final = {"anyOf": [{"type": "number"}, {"type": "null"}]}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "description": "Words."},
        "way": {"$ref": "#/$defs/Way"},
        "worth": NUMBER_OR_NONE,
        "cause": {"anyOf": [{"$ref": "#/$defs/Cause"}, {"enum": ["time", "rule"], "type": "string"}]},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}},
        "facts": {"type": "object", "additionalProperties": TEXT},
        "sealed": {"type": "object", "properties": {"x": TEXT}, "additionalProperties": False},
        "note": TEXT,
    },
    "required": ["id", "way"],
    "$defs": {
        "Way": {"enum": ["in", "out"], "type": "string"},
        "Cause": {"type": "object", "properties": {"type": {"const": "track"}}, "required": ["type"]},
    },
}
CASES: Final[list[tuple[Edit, set[str]]]] = [
    (lambda _: None, set()),
    (set_in("properties", "id", "description", value="Other words."), set()),
    (set_in("properties", "new", value=TEXT), {"new: property_added"}),
    (set_in("required", value=["id", "way", "note"]), {"note: property_newly_required"}),
    (set_in("required", value=["id"]), {"way: property_no_longer_required"}),
    (drop("note"), {"note: property_removed"}),
    (rename("note", "remark"), {"note: property_removed", "remark: property_added"}),
    (set_in("properties", "sealed", "properties", "y", value=TEXT), {"sealed.y: property_added_where_closed"}),
    (set_in("properties", "sealed", "additionalProperties", value=True), {"sealed: opened"}),
    (set_in("additionalProperties", value=False), {"(the whole): closed"}),
    (set_in("properties", "note", value={"type": "integer"}), {"note: type_removed", "note: type_added"}),
    (set_in("properties", "note", value={"type": ["string", "null"]}), {"note: type_added"}),
    (set_in("properties", "worth", value={"type": "number"}), {"worth: type_removed"}),
    (set_in("$defs", "Way", "enum", value=["in"]), {"way: value_removed"}),
    (set_in("$defs", "Way", "enum", value=["in", "out", "up"]), {"way: value_added"}),
    (set_in("$defs", "Way", value=TEXT), {"way: value_added"}),
    (set_in("$defs", "Cause", "properties", "type", value={"const": "page"}), {
        "cause.type: value_removed", "cause.type: value_added",
    }),
    (set_in("properties", "id", "maxLength", value=8), {"id: limit_tighter"}),
    (set_in("properties", "id", "minLength", value=0), {"id: limit_looser"}),
    (set_in("properties", "note", value={"type": "string", "maxLength": 9}), {"note: limit_tighter"}),
    (set_in("properties", "id", "pattern", value="^b"), {"id: shape_changed"}),
    (set_in("properties", "note", value={"type": "string", "format": "uuid"}), {"note: shape_changed"}),
    (set_in("properties", "parts", "items", "properties", "name", value={"type": "null"}), {
        "parts[].name: type_removed", "parts[].name: type_added",
    }),
    (set_in("properties", "facts", "additionalProperties", value={"type": "number"}), {
        "facts.*: type_removed", "facts.*: type_added",
    }),
    (set_in("if", value={"properties": {"id": {"const": "a"}}}), {"(the whole): shape_changed"}),
    (set_in("oneOf", value=[{"required": ["id"]}]), {"(the whole): shape_changed"}),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), CASES)
def test_every_difference_is_told_with_its_place_and_reason(edit: Edit, said: set[str]) -> None:
    later = copy.deepcopy(SCHEMA)
    edit(later)
    assert {str(change) for change in changes(SCHEMA, later)} == said


def test_every_reason_says_who_is_harmed_and_has_a_case() -> None:
    assert HARMED.keys() == set(Reason)
    seen = {word.rpartition(": ")[2] for _, said in CASES for word in said}
    assert seen == {reason.value for reason in Reason}


def test_alternatives_of_one_type_are_the_same_or_another_shape() -> None:
    earlier = {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]}
    later = {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["c"]}]}
    assert changes(earlier, copy.deepcopy(earlier)) == []
    assert [change.reason for change in changes(earlier, later)] == [Reason.SHAPE_CHANGED]


@pytest.mark.parametrize("name", WIRE)
def test_a_contract_is_compatible_with_itself(name: str) -> None:
    assert changes(json_schema(name), json_schema(name)) == []


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("transition", rename("account_id", "account")),
        ("transition", set_in("properties", "sequence", "minimum", value=0)),
        ("transition", set_in("$defs", "Direction", "enum", value=["entered", "exited", "moved", "paused"])),
        ("membership", drop("stage")),
        ("event", set_in("required", value=["type", "messageId"])),
        ("action", set_in("properties", "attempt", value={"type": "string"})),
    ],
)
def test_a_breaking_change_of_a_real_contract_is_found(name: str, edit: Edit) -> None:
    later = copy.deepcopy(json_schema(name))
    edit(later)
    found = breaking(frozen(name), later, WIRE[name])
    assert [change for change in found if not allowed(name, change)]


@pytest.mark.parametrize("name", [name for name in WIRE if name != "dead-letter"])
def test_an_optional_field_may_be_added_to_any_contract(name: str) -> None:
    later = copy.deepcopy(json_schema(name))
    later["properties"]["new_field"] = TEXT
    assert breaking(frozen(name), later, WIRE[name]) == []
