"""Reading a catalog: YAML, `extends`, merge, validation, rules. Whatever is wrong is told at once, each with its place.

Two passes look at the merged document, and both at all of it: the model checks the shape, the rule parser every text
that is a rule. Only when both find nothing is the catalog compiled, which finds what no entry has alone: circles.
"""

import re
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.catalog import Catalog, ChecklistStep, Measure, NamedEvent, Segment
from streams.catalogs.document import BUILT_IN, BY_ID, Document, EntryPath, read_document
from streams.catalogs.problems import InvalidCatalogError, Problem, shown
from streams.catalogs.texts import rule_problems
from streams.engine.program import Program, compile_catalog
from streams.engine.rules.errors import CatalogError, nearest

__all__ = ["BUILT_IN", "load_catalog", "load_program", "program_of", "validated"]

_PARTS: Final[dict[str, type[BaseModel]]] = {
    BY_ID: Segment, "events": NamedEvent, "measures": Measure, "checklist": ChecklistStep,
}  # fmt: skip
_QUOTED: Final = re.compile(r"'([^']*)'")


def load_catalog(reference: str) -> Catalog:
    """The catalog of a built-in's name or a file's path, with all that it extends.

    Raises:
        InvalidCatalogError: it cannot be read, or is no catalog, or a rule is none; names every fault with its place.
    """
    return validated(read_document(reference))


def load_program(reference: str) -> Program:
    """The same, compiled.

    Raises:
        InvalidCatalogError: as above.
    """
    return program_of(read_document(reference))


def validated(document: Document) -> Catalog:
    """The catalog that a document is.

    Raises:
        InvalidCatalogError: it is none; names every fault.
    """
    problems = list(document.problems)
    catalog = None
    try:
        catalog = Catalog.model_validate(document.plain())
    except ValidationError as error:
        problems += [_explained(document, detail) for detail in error.errors(include_url=False)]
    problems += rule_problems(document)
    if problems or catalog is None:
        raise InvalidCatalogError(_in_order(document, problems))
    return catalog


def program_of(document: Document) -> Program:
    """A document's catalog, compiled.

    Raises:
        InvalidCatalogError: it cannot be used; names every fault.
    """
    catalog = validated(document)
    try:
        return compile_catalog(catalog, document.name)
    except CatalogError as error:
        raise InvalidCatalogError([_located(document, error)]) from None


def _in_order(document: Document, problems: list[Problem]) -> list[Problem]:
    """As they stand in the files, the catalog's own file first; each once."""
    places = {name: place for place, name in enumerate(document.chain)}
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda found: (places.get(found.file, 0), found.line or 0, found.column or 0))


def _explained(document: Document, detail: ErrorDetails) -> Problem:
    """One of pydantic's findings: by the entry's name, with what was found, what is allowed and the nearest."""
    at_key = detail["loc"][-1:] == ("[key]",)
    path = _path(document, detail["loc"][:-1] if at_key else detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _fields(path)
        message = f"there is no such entry; there are {', '.join(known)}{nearest(path[-1], known)}"
        return document.problem(path, message, at_key=True)
    if detail["type"] == "missing":
        return document.problem(path, f"is missing{_meant(document, path)}")
    reason = detail["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    found = detail["input"]
    if detail["type"] == "value_error" and isinstance(found, dict):
        return document.problem(path, reason, at_key=at_key)
    expected = _QUOTED.findall(str(detail.get("ctx", {}).get("expected", "")))
    hint = nearest(found, expected) if isinstance(found, str) else ""
    if isinstance(found, bool) and reason == "input should be a valid string":
        hint = "; quote the word"
    return document.problem(path, f"found {shown(found)}; {reason}{hint}", at_key=at_key)


def _path(document: Document, loc: tuple[int | str, ...]) -> EntryPath:
    """Where pydantic says `segments 3 when`, `segments at_risk when`."""
    path = [str(part) for part in loc]
    segments = document.tree.get(BY_ID)
    if len(loc) > 1 and loc[0] == BY_ID and isinstance(loc[1], int) and isinstance(segments, dict):
        path[1] = list(segments)[loc[1]]
    return tuple(path)


def _meant(document: Document, path: EntryPath) -> str:
    """A segment without a rule is often one that should have been laid over another."""
    if path[0] != BY_ID or path[2:] != ("when",):
        return ""
    others = [name for name in document.tree[BY_ID] if name != path[1]]
    return nearest(path[1], others).replace("did you mean", "did you mean to override")


def _fields(path: EntryPath) -> list[str]:
    """What may stand beside an entry."""
    if len(path) == 1:
        return [*Catalog.model_fields, "extends"]
    return list(_PARTS[path[0]].model_fields) if path[0] in _PARTS else []


def _located(document: Document, error: CatalogError) -> Problem:
    """A fault of the catalog as a whole, which the compiler tells by the names of entries."""
    names: Any = error.place.removeprefix(document.name).removeprefix(": ").split(": ")
    path = tuple(name for name in names if name)
    if path == (BY_ID,):  # a circle of segments: at the first of them
        segments = document.tree[BY_ID]
        named = [word.strip() for word in error.message.rpartition(" among ")[2].split(",")]
        first = next((name for name in segments if name in named), None)
        path = path if first is None else (BY_ID, first, "when")
    return document.problem(path, error.message)
