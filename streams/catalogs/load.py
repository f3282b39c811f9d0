"""Reading a catalog: YAML, `extends`, merge, validation.

A catalog that extends another is laid over it: maps merge by key, segments by id and then by key (they keep their
place, new ones come at the end), every other list is replaced. The result is one complete document, which is what the
content hash is taken of: how it was put together leaves no trace.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from schemas.catalog import Catalog
from streams.engine.rules.errors import CatalogError, nearest

BUILT_IN: Final = ("default", "oss")
FILE_BYTES_MAX: Final = 1 << 20
EXTENDS_DEPTH_MAX: Final = 8


def load_catalog(reference: str) -> Catalog:
    """The catalog of a built-in's name or a file's path, with all that it extends.

    Raises:
        CatalogError: it cannot be read, or is no catalog; names the file and the entry.
    """
    document = _resolved(reference, None, ())
    try:
        return Catalog.model_validate(document)
    except ValidationError as error:
        raise _explained(reference, error, document) from None


def _resolved(reference: str, beside: Path | None, opened: tuple[str, ...]) -> dict[str, Any]:
    """The document of a reference, laid over all that it extends."""
    path = None if reference in BUILT_IN else (beside or Path()) / reference
    name = reference if path is None else str(path)
    if name in opened or len(opened) >= EXTENDS_DEPTH_MAX:
        raise CatalogError(name, f"extends goes round in a circle or too deep: {' -> '.join((*opened, name))}")
    document = _read(name, path)
    base = document.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise CatalogError(name, f"extends: a built-in's name ({', '.join(BUILT_IN)}) or a path is needed")
    inherited = _resolved(base, None if path is None else path.parent, (*opened, name))
    return merged(inherited, document)


def _read(name: str, path: Path | None) -> dict[str, Any]:
    try:
        text = (
            (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
            if path is None
            else path.read_text(encoding="utf-8")
        )
    except FileNotFoundError:
        hint = nearest(name, BUILT_IN)
        raise CatalogError(name, f"no such file, and no built-in catalog ({', '.join(BUILT_IN)}){hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(name, f"cannot be read: {error}") from None
    if len(text) > FILE_BYTES_MAX:
        raise CatalogError(name, f"is larger than {FILE_BYTES_MAX} characters")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise CatalogError(name, f"is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise CatalogError(name, "is not a catalog: a map with format, name and segments is needed")
    return document


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`; neither is changed."""
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        if key == "segments" and isinstance(known, list) and isinstance(value, list):
            result[key] = _merged_segments(known, value)
        elif isinstance(known, dict) and isinstance(value, dict):
            result[key] = merged(known, value)
        else:
            result[key] = value
    return result


def _merged_segments(base: list[Any], over: list[Any]) -> list[Any]:
    by_id = {entry["id"]: entry for entry in base if isinstance(entry, dict) and "id" in entry}
    for entry in over:
        if not isinstance(entry, dict) or "id" not in entry:
            return [*base, *over]  # validation will name the entry that is none
        by_id[entry["id"]] = {**by_id.get(entry["id"], {}), **entry}
    return list(by_id.values())


def _explained(name: str, error: ValidationError, document: dict[str, Any]) -> CatalogError:
    """The first fault, by its place in the document; a segment by its id."""
    first, count = error.errors()[0], error.error_count()
    place: list[str] = []
    value: Any = document
    for part in first["loc"]:
        value = _entry(value, part)
        is_named = isinstance(value, dict) and isinstance(part, int) and "id" in value
        place.append(repr(value["id"]) if is_named and value is not None else str(part))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = Catalog.model_fields if len(place) == 1 else ()
        message = f"there is no such entry{nearest(place[-1], known)}"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return CatalogError(f"{name}: {' '.join(place)}" if place else name, f"{message}{more}")


def _entry(value: Any, part: int | str) -> Any:
    """What stands under a key or index; None where there is nothing."""
    if isinstance(value, list) and isinstance(part, int):
        return value[part] if part < len(value) else None
    return value.get(part) if isinstance(value, dict) else None
