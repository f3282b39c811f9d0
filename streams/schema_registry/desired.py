"""Which subjects a deployment has, and with which schemas."""

from dataclasses import dataclass
from typing import Any, Final

from schemas.compatibility import BOTH, Side
from schemas.generate import json_schema
from streams.topics import Topics

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
LEVEL: Final = "FORWARD_TRANSITIVE"
_CONTRACTS: Final = {
    "product_events": ("event", frozenset({Side.WRITERS})),
    "transitions": ("transition", BOTH),
    "membership": ("membership", BOTH),
    "actions": ("action", BOTH),
}
"""By topic: the contract of its values, and who of the outside must not be harmed by a change."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One schema as it ought to be registered."""

    name: str
    contract: str
    sides: frozenset[Side]
    schema: dict[str, Any]


def subjects(topics: Topics) -> tuple[Subject, ...]:
    """Named as Confluent's TopicNameStrategy does it."""
    return tuple(
        Subject(f"{getattr(topics, topic)}-value", contract, sides, draft_7(json_schema(contract)))
        for topic, (contract, sides) in _CONTRACTS.items()
    )


def draft_7(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema in the draft that every registry understands; our schemas use nothing newer than `$defs`."""
    moved: dict[str, Any] = _renamed(schema)
    moved.pop("$id")
    return {**moved, "$schema": DIALECT}


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            "definitions" if name == "$defs" else name: content.replace("#/$defs/", "#/definitions/")
            if name == "$ref" and isinstance(content, str)
            else _renamed(content)
            for name, content in value.items()
        }
    return [_renamed(one) for one in value] if isinstance(value, list) else value
