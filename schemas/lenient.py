"""How a field is read when a producer may send anything: a value of the wrong type is unknown, null is unknown.

Each reader is the one definition of its leniency. The pydantic model runs it before its own check. On the hot path
the field has the msgspec type named by `Strict`, which admits only what the reader would return unchanged; any
other value sends the record down the careful path, where the same reader is called.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from pydantic import BeforeValidator, Field, WithJsonSchema


@dataclass(frozen=True, slots=True)
class Strict:
    """Marks a field with the msgspec type that admits exactly the values its reader leaves as they are."""

    type: Any


def read_text(value: Any) -> str | None:
    """A non-empty text."""
    return value if isinstance(value, str) and value else None


def read_object(value: Any) -> dict[str, Any]:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def read_version(value: Any) -> int | float | str | None:
    """A number or a text: both are sent."""
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else None


PLAIN_DEPTH: Final = 4
"""Containers inside a field of a plain record; real ones have one to three. The type grows as 2**depth."""

_INT_64: Any = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_SCALAR: Any = None | bool | _INT_64 | float | str
_NON_EMPTY: Any = Annotated[str, msgspec.Meta(min_length=1)] | None


def _objects(inner: Any) -> Any:
    return dict[str, inner]


def _plain(depth: int) -> Any:
    if depth == 0:
        return _SCALAR
    inner = _plain(depth - 1)
    return _SCALAR | _objects(inner) | list[inner]  # type: ignore[valid-type]  # built at run time


PLAIN: Any = _plain(PLAIN_DEPTH)
"""A JSON value that msgspec itself finds within the limits of depth and number range, so that nobody need walk it."""

Text: TypeAlias = Annotated[str | None, BeforeValidator(read_text), Strict(_NON_EMPTY)]
TimeText: TypeAlias = Annotated[
    str | None, BeforeValidator(read_text), Strict(_NON_EMPTY), Field(json_schema_extra={"format": "date-time"})
]
Object: TypeAlias = Annotated[
    dict[str, Any],
    BeforeValidator(read_object),
    Strict(_objects(_plain(PLAIN_DEPTH - 1))),
    WithJsonSchema({"type": ["object", "null"], "additionalProperties": True}),
]
Version: TypeAlias = Annotated[
    int | float | str | None, BeforeValidator(read_version), Strict(_INT_64 | float | str | None)
]
Ignored: TypeAlias = Annotated[Any, Strict(PLAIN)]
