"""Whether a JSON Schema may take the place of an earlier one, and why not. Pure.

Theory of operation. Two schemas are compared place by place; every difference has a reason from a closed list, and what
the list does not know is `SHAPE_CHANGED`, so nothing slips through. Who is harmed follows from the reason:

    writers  wrote by the earlier schema, long ago or not yet upgraded: what they wrote is refused now
    readers  read by the earlier schema: what is written now is more than they were told of, or lacks what they count on

Adding an optional property harms nobody: readers are told to ignore properties that they do not know. Words for people
(title, description, examples) are no part of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Schema = Mapping[str, Any]


class Side(StrEnum):
    WRITERS = "writers"
    READERS = "readers"


class Reason(StrEnum):
    """What is different."""

    PROPERTY_ADDED = "property_added"
    """And optional, where others were allowed: the one difference that is always fine."""
    PROPERTY_ADDED_WHERE_CLOSED = "property_added_where_closed"
    PROPERTY_REMOVED = "property_removed"
    """Or renamed, which is the same to whoever asks for it."""
    PROPERTY_NEWLY_REQUIRED = "property_newly_required"
    PROPERTY_NO_LONGER_REQUIRED = "property_no_longer_required"
    CLOSED = "closed"
    OPENED = "opened"
    TYPE_REMOVED = "type_removed"
    TYPE_ADDED = "type_added"
    VALUE_REMOVED = "value_removed"
    VALUE_ADDED = "value_added"
    LIMIT_TIGHTER = "limit_tighter"
    LIMIT_LOOSER = "limit_looser"
    SHAPE_CHANGED = "shape_changed"


BOTH: Final = frozenset(Side)
HARMED: Final[Mapping[Reason, frozenset[Side]]] = {
    Reason.PROPERTY_ADDED: frozenset(),
    Reason.PROPERTY_ADDED_WHERE_CLOSED: frozenset({Side.READERS}),
    Reason.PROPERTY_REMOVED: BOTH,
    Reason.PROPERTY_NEWLY_REQUIRED: frozenset({Side.WRITERS}),
    Reason.PROPERTY_NO_LONGER_REQUIRED: frozenset({Side.READERS}),
    Reason.CLOSED: frozenset({Side.WRITERS}),
    Reason.OPENED: frozenset({Side.READERS}),
    Reason.TYPE_REMOVED: frozenset({Side.WRITERS}),
    Reason.TYPE_ADDED: frozenset({Side.READERS}),
    Reason.VALUE_REMOVED: frozenset({Side.WRITERS}),
    Reason.VALUE_ADDED: frozenset({Side.READERS}),
    Reason.LIMIT_TIGHTER: frozenset({Side.WRITERS}),
    Reason.LIMIT_LOOSER: frozenset({Side.READERS}),
    Reason.SHAPE_CHANGED: BOTH,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. The place is a path: `evidence`, `segments[].entered_at`, `measures.*`."""

    place: str
    reason: Reason

    @property
    def harmed(self) -> frozenset[Side]:
        return HARMED[self.reason]

    def __str__(self) -> str:
        return f"{self.place or '(the whole)'}: {self.reason}"


_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_WORDS: Final = frozenset({"$schema", "$id", "$defs", "definitions", "title", "description", "examples", "default"})
_COMPARED: Final = frozenset(
    {*_LOWER, *_UPPER, *_WORDS, "type", "enum", "const", "properties", "required", "additionalProperties", "items",
     "propertyNames", "anyOf", "$ref"}
)  # fmt: skip
_ANY_TYPE: Final = "any"
_BY_TYPE: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def changes(earlier: Schema, later: Schema) -> list[Change]:
    """Every difference between two whole schemas, without repeats."""
    return list(dict.fromkeys(_Comparison(earlier, later).between(earlier, later, "")))


def breaking(earlier: Schema, later: Schema, sides: frozenset[Side]) -> list[Change]:
    """The differences that harm one of the sides."""
    return [change for change in changes(earlier, later) if change.harmed & sides]


class _Comparison:
    def __init__(self, earlier: Schema, later: Schema) -> None:
        self._earlier = earlier
        self._later = later

    def between(self, earlier: Schema, later: Schema, place: str) -> Iterator[Change]:
        before, after = _by_type(earlier, self._earlier), _by_type(later, self._later)
        if before is None or after is None:
            if _plain(earlier, self._earlier) != _plain(later, self._later):
                yield Change(place, Reason.SHAPE_CHANGED)
            return
        if before.keys() - after.keys() and _ANY_TYPE not in after:
            yield Change(place, Reason.TYPE_REMOVED)
        if after.keys() - before.keys() and _ANY_TYPE not in before:
            yield Change(place, Reason.TYPE_ADDED)
        for name in before.keys() & after.keys():
            yield from self._of_one_type(before[name], after[name], place)

    def _of_one_type(self, earlier: Schema, later: Schema, place: str) -> Iterator[Change]:
        yield from _values(earlier, later, place)
        yield from _limits(earlier, later, place)
        yield from self._properties(earlier, later, place)
        yield from self._others(earlier, later, place)
        for name, suffix in (("items", "[]"), ("propertyNames", "(names)")):
            if name in earlier or name in later:
                yield from self.between(earlier.get(name, {}), later.get(name, {}), place + suffix)
        rest = (earlier.keys() | later.keys()) - _COMPARED
        if any(earlier.get(name) != later.get(name) for name in rest):
            yield Change(place, Reason.SHAPE_CHANGED)

    def _properties(self, earlier: Schema, later: Schema, place: str) -> Iterator[Change]:
        before, after = earlier.get("properties", {}), later.get("properties", {})
        needed, needs = set(earlier.get("required", ())), set(later.get("required", ()))
        closed = earlier.get("additionalProperties") is False
        for name in before.keys() | after.keys():
            inner = f"{place}.{name}" if place else name
            if name not in after:
                yield Change(inner, Reason.PROPERTY_REMOVED)
            elif name in before:
                if (name in needed) != (name in needs):
                    required = name in needs
                    reason = Reason.PROPERTY_NEWLY_REQUIRED if required else Reason.PROPERTY_NO_LONGER_REQUIRED
                    yield Change(inner, reason)
                yield from self.between(before[name], after[name], inner)
            else:
                yield Change(inner, Reason.PROPERTY_ADDED_WHERE_CLOSED if closed else Reason.PROPERTY_ADDED)
                if name in needs:
                    yield Change(inner, Reason.PROPERTY_NEWLY_REQUIRED)

    def _others(self, earlier: Schema, later: Schema, place: str) -> Iterator[Change]:
        """What may be there beside the named properties."""
        before, after = earlier.get("additionalProperties", True), later.get("additionalProperties", True)
        if (before is False) != (after is False):
            yield Change(place, Reason.CLOSED if after is False else Reason.OPENED)
        elif before is not False and before != after:
            inner = f"{place}.*" if place else "*"
            earlier, later = ({} if one is True else one for one in (before, after))
            yield from self.between(earlier, later, inner)


def _by_type(schema: Schema, root: Schema) -> dict[str, Schema] | None:
    """What a schema says of each type that it allows; None where two of its alternatives are of one type."""
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        around = {name: value for name, value in schema.items() if name not in _WORDS and name != "anyOf"}
        found: dict[str, Schema] = {}
        for alternative in schema["anyOf"]:
            for name, one in (_by_type(alternative, root) or {"": {}}).items():
                if name in found or not name:
                    return None
                found[name] = {**around, **one}
        return found
    if "enum" in schema or "const" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        names = {_BY_TYPE[type(value)] for value in allowed}
        return {name: {"enum": [value for value in allowed if _BY_TYPE[type(value)] == name]} for name in sorted(names)}
    types = schema.get("type", _ANY_TYPE)
    return dict.fromkeys([types] if isinstance(types, str) else types, schema)


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        own = {name: value for name, value in schema.items() if name != "$ref"}
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **own}
    return schema


def _plain(value: Any, root: Schema) -> Any:
    """Without words for people, and with what it refers to in place."""
    if isinstance(value, list):
        return [_plain(one, root) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one, root) for name, one in _resolved(value, root).items() if name not in _WORDS}
    return value


def _values(earlier: Schema, later: Schema, place: str) -> Iterator[Change]:
    before, after = earlier.get("enum"), later.get("enum")
    if before is None and after is None:
        return
    if before is None or (after is not None and set(before) - set(after)):
        yield Change(place, Reason.VALUE_REMOVED)
    if after is None or (before is not None and set(after) - set(before)):
        yield Change(place, Reason.VALUE_ADDED)


def _limits(earlier: Schema, later: Schema, place: str) -> Iterator[Change]:
    infinity = float("inf")
    for names, none, sign in ((_LOWER, -infinity, 1), (_UPPER, infinity, -1)):
        for name in names:
            moved = (later.get(name, none) - earlier.get(name, none)) * sign if _differ(earlier, later, name) else 0
            if moved:
                yield Change(place, Reason.LIMIT_TIGHTER if moved > 0 else Reason.LIMIT_LOOSER)


def _differ(earlier: Schema, later: Schema, name: str) -> bool:
    return bool(earlier.get(name) != later.get(name))
