"""msgspec types derived from the pydantic models: the contract is written once, the hot path has its speed.

`derive` makes a struct with the model's fields, in the model's order, under the model's names. A nested model
becomes a nested struct. A field marked `Strict` has the type named there. Constraints stay with the model: a struct
that reads must not admit more than the model does (see `schemas.wire` for how that is kept), one that writes need
not check.
"""

import types
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from schemas.lenient import Strict

Reader: TypeAlias = Callable[[Any], Any]


@cache
def derive(model: type[BaseModel]) -> Any:
    """The struct type of a model, the same on every call: `Event` gives `WireEvent`.

    All fields are keyword-only: a required one may then follow one with a default, in the model's order.
    """
    return _struct(model, [])


def derive_with(model: type[BaseModel], more: dict[str, Any]) -> Any:
    """A struct type of the model's fields, followed by `more` (name to type), which are None at first."""
    return _struct(model, [(name, kind, None) for name, kind in more.items()])


def closed(struct: Any) -> Any:
    """A subtype that decodes from the struct's own fields alone: an unknown one is an error, and not skipped."""
    return msgspec.defstruct(
        f"Closed{struct.__name__}", [], bases=(struct,), module=struct.__module__, forbid_unknown_fields=True, gc=False
    )


def _struct(model: type[BaseModel], more: list[Any]) -> Any:
    fields: list[Any] = [_field(name, info) for name, info in model.model_fields.items()]
    # Parsed JSON holds no cycles, so the collector need not look at it.
    return msgspec.defstruct(f"Wire{model.__name__}", fields + more, module=model.__module__, kw_only=True, gc=False)


def readers(model: type[BaseModel]) -> dict[str, Reader]:
    """The lenient readers of a model's fields, by field name."""
    return {
        name: cast("Reader", mark.func)
        for name, info in model.model_fields.items()
        for mark in info.metadata
        if isinstance(mark, BeforeValidator)
    }


def _field(name: str, info: FieldInfo) -> tuple[str, Any] | tuple[str, Any, Any]:
    strict = next((mark.type for mark in info.metadata if isinstance(mark, Strict)), None)
    field_type = strict if strict is not None else _wire_type(info.annotation)
    if info.is_required():
        return name, field_type
    if info.default_factory is not None:
        return name, field_type, msgspec.field(default_factory=cast("Callable[[], Any]", info.default_factory))
    return name, field_type, info.default


def _wire_type(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return derive(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _wire_type(arguments[0])
    if origin in {Union, types.UnionType}:
        return Union[tuple(_wire_type(argument) for argument in arguments)]  # noqa: UP007 - built from a tuple
    if origin in {list, dict, tuple}:
        return origin[tuple(_wire_type(argument) for argument in arguments)]
    if origin is Literal and isinstance(arguments[0], Enum):
        return type(arguments[0])
    return annotation
