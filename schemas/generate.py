"""JSON Schemas of the contracts, generated from the models and shipped with them (`schemas/json/*.schema.json`).

The files are for those who speak to Pegel in another language. A test keeps them in step with the models;
`pegel schemas generate` writes them anew.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from schemas.action import Action
from schemas.catalog import CatalogFile
from schemas.control import CatalogChange, Clock, Erase, Sketch, Thresholds
from schemas.dead_letter import DeadLetter
from schemas.event import Event
from schemas.membership import Membership
from schemas.playbook import Playbook
from schemas.transition import Transition

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SUFFIX: Final = ".schema.json"

CONTRACTS: Final[dict[str, type[BaseModel]]] = {
    "event": Event,
    "control-clock": Clock,
    "control-thresholds": Thresholds,
    "control-catalog": CatalogChange,
    "control-erase": Erase,
    "control-sketch": Sketch,
    "transition": Transition,
    "membership": Membership,
    "dead-letter": DeadLetter,
    "action": Action,
    "catalog": CatalogFile,
    "playbook": Playbook,
}
"""By the name of the file and of the command's argument: in the order in which records flow, then what people write."""


class _Plain(GenerateJsonSchema):
    """Keeps the models' order, and leaves out titles that only repeat a field's name."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002 - inherited
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - inherited
        return False


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a contract; raises KeyError."""
    schema = CONTRACTS[name].model_json_schema(schema_generator=_Plain)
    return {"$schema": DIALECT, "$id": f"urn:pegel:{name}:v1", **schema}


def rendered(name: str) -> str:
    """As the file has it."""
    return json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"


def folder() -> Path:
    """Where the files lie: inside the installed package."""
    return Path(str(resources.files("schemas").joinpath("json")))


def out_of_step(target: Path) -> list[Path]:
    """The files that are missing, differ, or belong to no contract."""
    wanted = {target / f"{name}{SUFFIX}": rendered(name) for name in CONTRACTS}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    return stale + [path for path in sorted(target.glob(f"*{SUFFIX}")) if path not in wanted]


def write(target: Path) -> list[Path]:
    """Bring the files in step; returns those that were not."""
    target.mkdir(parents=True, exist_ok=True)
    changed = out_of_step(target)
    for path in changed:
        name = path.name.removesuffix(SUFFIX)
        if name in CONTRACTS:
            path.write_text(rendered(name), "utf-8")
        else:
            path.unlink()
    return changed
