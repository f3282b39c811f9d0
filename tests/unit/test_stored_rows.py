"""What a released version stored is read by every later one, and what this one stores by the one before.

Rows other than accounts (`tests/unit/engine/test_stored_states.py`) have no version: they may grow at their end, by
values that have a default, and in no other way. `tests/data/rows/1.json` says how they began, and stays as it is.

The same for a catalog, which is stored and sent without what it leaves at its default: a default stays what it is, or
old logs would be read by other rules. To change one is another `format`.
"""

import json
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

import schemas.catalog as catalogs
from schemas.catalog import Catalog
from streams.catalogs import load_catalog
from streams.engagement import rows as engagement
from streams.engine.program import compile_catalog, version_of
from streams.notify.courier import rows as courier
from streams.notify.plan import memory, waiting
from tests.unit.engine.logs import RULES

ROWS = (
    engagement.PartitionRow, engagement.PendingRow, engagement.SketchKey, courier.DeliveryRow,
    courier.ItemRow, courier.SpillRow, courier.OperatorRow, courier.ThreadRow, memory.Account, memory.Group,
    memory.Listing, waiting.Waiting,
)  # fmt: skip
MODELS = [
    one
    for one in vars(catalogs).values()
    if isinstance(one, type) and issubclass(one, BaseModel) and one.__module__ == catalogs.__name__
]
FOLDER = Path(__file__).parents[1] / "data" / "rows"
BEGAN: dict[str, list[list[str]]] = json.loads((FOLDER / "1.json").read_text())
DEFAULTS: dict[str, dict[str, Any]] = json.loads((FOLDER / "catalog-1.json").read_text())


def name_of(row: type) -> str:
    return f"{row.__module__}.{row.__name__}"


def shape_of(row: type[msgspec.Struct]) -> list[list[str]]:
    """Names and types of a row's values, in order."""
    types = typing.get_type_hints(row)
    return [[field.name, msgspec_type(types[field.name])] for field in msgspec.structs.fields(row)]


def msgspec_type(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)


def defaults_of(model: type[BaseModel]) -> dict[str, Any]:
    optional = {name: field for name, field in model.model_fields.items() if not field.is_required()}
    values = {name: field.get_default(call_default_factory=True) for name, field in optional.items()}
    plain = msgspec.json.decode(msgspec.json.encode(values, enc_hook=str))
    assert isinstance(plain, dict)
    return plain


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_row_grows_at_its_end_and_by_values_that_have_a_default(row: type[msgspec.Struct]) -> None:
    began, shape = BEGAN[name_of(row)], shape_of(row)
    assert shape[: len(began)] == began
    assert not any(field.required for field in msgspec.structs.fields(row)[len(began) :])
    assert row.__struct_config__.array_like
    assert not row.__struct_config__.forbid_unknown_fields, "a later version's further values are left out"


def test_what_a_later_version_adds_to_a_row_is_left_out() -> None:
    row = memory.Account(3, {"hot": 1}, {"hot": 2}, {"greet": 3}, {"morning": 4}, {"name": "Acme"})
    values = msgspec.msgpack.decode(msgspec.msgpack.encode(row))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode([*values, "later"]), type=memory.Account) == row


def test_every_row_has_its_beginning_on_record() -> None:
    assert {name_of(row) for row in ROWS} == BEGAN.keys()
    kept = {
        one
        for module in (engagement, courier, memory, waiting)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__struct_config__.array_like
        and not one.__name__.startswith("_")
    }  # fmt: skip
    assert kept <= {*ROWS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_default_of_a_catalog_stays_what_it_is_and_a_new_entry_has_one(model: type[BaseModel]) -> None:
    began = DEFAULTS[model.__name__]
    assert {name: value for name, value in defaults_of(model).items() if name in began["defaults"]} == began["defaults"]
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    assert required == set(began["required"])


def test_every_part_of_a_catalog_has_its_defaults_on_record() -> None:
    assert {model.__name__ for model in MODELS} == DEFAULTS.keys()


@pytest.mark.parametrize(
    "catalog", [load_catalog("default"), load_catalog("oss"), RULES], ids=["default", "oss", "all"]
)
def test_a_catalog_is_the_same_with_its_defaults_as_it_was_stored_first_and_without(catalog: Catalog) -> None:
    program = compile_catalog(catalog)
    assert "account_facts" not in program.content, "an entry that an older version would not know"
    for content in (program.content, catalog.model_dump(mode="json")):
        read = Catalog.model_validate(msgspec.json.decode(msgspec.json.encode(content)))
        assert read == catalog
        assert version_of(read) == program.version


def test_the_first_rows_of_threads_kept_a_time_and_are_read() -> None:
    old, present = msgspec.msgpack.encode(["ts-1", 1_788_000_000_000]), courier.ThreadRow("ts-1", {"play": "ts-2"})
    assert courier.decode_thread(old) == courier.ThreadRow("ts-1", {})
    assert courier.decode_thread(courier.encode(present)) == present
