"""A catalog's YAML as a tree, with the place of every entry, also after it was laid over another.

A catalog that extends another is laid over it: maps merge by key, segments by id and then by key (they keep their
place, new ones come at the end), every other list is replaced. In the tree, segments are a map by id, so that this is
one rule: maps merge. The result is one complete document: how it was put together leaves no trace in it.

Faults of the text are gathered, not raised, so that all can be told at once; only where nothing can be read is reading
given up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from streams.catalogs.problems import InvalidCatalogError, Problem, Severity, shown
from streams.catalogs.scalars import offset_in_file
from streams.engine.rules.errors import nearest

BUILT_IN: Final = ("default", "oss")
FILE_BYTES_MAX: Final = 1 << 20
EXTENDS_DEPTH_MAX: Final = 8
YAML_DEPTH_MAX: Final = 12
YAML_NODES_MAX: Final = 100_000
"""Aliases are counted each time: a few lines of them can stand for gigabytes."""

BY_ID: Final = "segments"
_MERGE: Final = "tag:yaml.org,2002:merge"

EntryPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry's key and value stand; an item of a list has no key of its own."""

    source: Source
    key: int
    value: yaml.Node


@dataclass(slots=True)
class Document:
    """`tree` with segments by id; `places` by path. `chain`: this document, what it extends, and so on."""

    name: str
    tree: dict[str, Any]
    places: dict[EntryPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    chain: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The catalog as its model wants it: segments as a list."""
        segments = self.tree.get(BY_ID)
        return self.tree | {BY_ID: list(segments.values())} if isinstance(segments, dict) else self.tree

    def is_own(self, path: EntryPath) -> bool:
        """Whether the entry stands in this file, not in one that it extends."""
        place = self.places.get(path)
        return place is not None and place.source.name == self.name

    def problem(
        self,
        path: EntryPath,
        message: str,
        *,
        at_key: bool = False,
        within: tuple[str, int] | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Say it of an entry, or of the nearest one above it that stands in a file.

        `within`: the text that the entry was read as, and the offset of the character in it that is meant.
        """
        for depth in range(len(path), 0, -1):
            place = self.places.get(path[:depth])
            if place is not None:
                break
        else:
            return Problem(self.name, None, None, named(path), message, severity)
        offset = place.key if at_key and depth == len(path) else place.value.start_mark.index
        if within is not None and isinstance(place.value, yaml.ScalarNode):
            offset = offset_in_file(place.source.text, place.value, *within)
        return problem_at(place.source, offset, named(path), message, severity)


def named(path: EntryPath) -> str:
    """A path for people: `segments 'at_risk' when`."""
    is_named = path[:1] and path[0] in {BY_ID, "events", "measures", "definitions", "weights"}
    return " ".join(repr(part) if is_named and place == 1 else part for place, part in enumerate(path))


def problem_at(source: Source, offset: int, entry: str, message: str, severity: Severity = Severity.ERROR) -> Problem:
    text = source.text
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", begin)
    line = text.count("\n", 0, offset) + 1
    excerpt = text[begin : len(text) if end < 0 else end]
    return Problem(source.name, line, offset - begin + 1, entry, message, severity, excerpt)


def read_document(reference: str) -> Document:
    """A built-in's name or a file, with all that it extends.

    Raises:
        InvalidCatalogError: a file cannot be read, or is no YAML.
    """
    return _resolved(reference, None, ())


def _resolved(reference: str, beside: Path | None, opened: tuple[str, ...]) -> Document:
    """The document of a reference, laid over all that it extends."""
    path = None if reference in BUILT_IN else (beside or Path()) / reference
    name = reference if path is None else str(path)
    document = parse(Source(name, _text(name, path)))
    document.chain = (name,)
    if "extends" not in document.tree:
        return document
    base = document.tree.pop("extends")
    if base is None:
        return document
    if not isinstance(base, str):
        message = f"found {shown(base)}; a built-in's name ({', '.join(BUILT_IN)}) or a path is needed"
        raise InvalidCatalogError([document.problem(("extends",), message)])
    folder = (path.parent if path is not None else None) or Path()
    below = base if base in BUILT_IN else str(folder / base)
    if below in (*opened, name) or len(opened) + 1 >= EXTENDS_DEPTH_MAX:
        circle = " -> ".join((*opened, name, below))
        raise InvalidCatalogError(
            [
                document.problem(
                    ("extends",), f"goes round in a circle or too deep (at most {EXTENDS_DEPTH_MAX}): {circle}"
                )
            ]
        )
    if base not in BUILT_IN and not (folder / base).is_file():
        message = f"no such file {below!r}, and no built-in catalog ({', '.join(BUILT_IN)}){nearest(base, BUILT_IN)}"
        raise InvalidCatalogError([document.problem(("extends",), message)])
    return laid_over(_resolved(base, folder, (*opened, name)), document)


def _text(name: str, path: Path | None) -> str:
    try:
        if path is None:
            return (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidCatalogError([Problem(name, None, None, "", f"is larger than {FILE_BYTES_MAX} bytes")])
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        message = f"no such file, and no built-in catalog ({', '.join(BUILT_IN)}){nearest(name, BUILT_IN)}"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 at byte {error.start}"
    except ValueError:
        message = "is no name of a file"
    raise InvalidCatalogError([Problem(name, None, None, "", message)])


def parse(source: Source) -> Document:
    """Read YAML.

    Raises:
        InvalidCatalogError: nothing can be made of it.
    """
    try:
        root = yaml.compose(source.text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"is not YAML: {error.problem or error.context}"
        raise InvalidCatalogError([problem_at(source, 0 if mark is None else mark.index, "", message)]) from None
    except yaml.reader.ReaderError as error:
        message = f"is not YAML: the character #x{error.character:04x} is not allowed"
        raise InvalidCatalogError([problem_at(source, error.position, "", message)]) from None
    except RecursionError:
        raise InvalidCatalogError([Problem(source.name, 1, 1, "", "is nested too deep")]) from None
    if not isinstance(root, yaml.MappingNode):
        found = shown(None if root is None else getattr(root, "value", None))
        message = f"is not a catalog: found {found}; begin with `format: 1` and `name: ...`"
        raise InvalidCatalogError([Problem(source.name, 1, 1, "", message)])
    return _Reader(source).document(root)


class _Reader:
    """Builds values from YAML nodes. Keys are the words that stand in the file: an event may be named `on` or `404`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._places: dict[EntryPath, Place] = {}
        self._problems: list[Problem] = []
        self._scalars = yaml.SafeLoader("")
        self._nodes = 0

    def document(self, root: yaml.MappingNode) -> Document:
        tree = self._mapping(root, ())
        return Document(self._source.name, tree, self._places, self._problems)

    def _tell(self, node: yaml.Node, path: EntryPath, message: str) -> None:
        self._problems.append(problem_at(self._source, node.start_mark.index, named(path), message))

    def _mapping(self, node: yaml.MappingNode, path: EntryPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        inherited: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                inherited |= self._merge_key(value_node, path)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._tell(key_node, path, "found a list or map as a key; keys are words")
                continue
            key = str(key_node.value)
            if key in result:
                self._tell(key_node, (*path, key), "stands twice in this map: remove one")
                continue
            self._places[*path, key] = Place(self._source, key_node.start_mark.index, value_node)
            result[key] = self._value(value_node, (*path, key))
        return inherited | result

    def _merge_key(self, node: yaml.Node, path: EntryPath) -> dict[str, Any]:
        """`<<: *other`: what stands beside it wins, and of several maps the first."""
        result: dict[str, Any] = {}
        for item in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
            value = self._value(item, (*path, "<<"))
            if isinstance(value, dict):
                result |= value
            else:
                self._tell(item, path, f"found {shown(value)} after <<; a map is needed")
        return result

    def _value(self, node: yaml.Node, path: EntryPath) -> Any:
        self._nodes += 1
        if self._nodes > YAML_NODES_MAX or len(path) > YAML_DEPTH_MAX:
            message = f"is too large: at most {YAML_NODES_MAX} entries, nested {YAML_DEPTH_MAX} deep, are allowed"
            raise InvalidCatalogError([problem_at(self._source, node.start_mark.index, named(path[:2]), message)])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._segments(node) if path == (BY_ID,) else list(self._items(node, path))
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self._tell(node, path, f"found {shown(node.value)}, which is no value that YAML knows: quote it")
            return node.value

    def _items(self, node: yaml.SequenceNode, path: EntryPath) -> Iterator[Any]:
        for index, item in enumerate(node.value):
            here = (*path, str(index))
            self._places[here] = Place(self._source, item.start_mark.index, item)
            yield self._value(item, here)

    def _segments(self, node: yaml.SequenceNode) -> dict[str, Any]:
        """Segments by id; one without an id by a name that no id can be."""
        result: dict[str, Any] = {}
        for index, item in enumerate(node.value):
            pairs = item.value if isinstance(item, yaml.MappingNode) else []
            ids = [value.value for key, value in pairs if key.value == "id" and isinstance(value, yaml.ScalarNode)]
            name = str(ids[0]) if ids else f"#{index + 1}"
            here = (BY_ID, name)
            if name in result:
                line = self._places[here].key
                first = problem_at(self._source, line, "", "").line
                self._tell(item, here, f"has the id of the segment in line {first}: rename one")
                continue
            self._places[here] = Place(self._source, item.start_mark.index, item)
            result[name] = self._value(item, here)
        return result


def laid_over(base: Document, over: Document) -> Document:
    """`over` laid over `base`; neither is changed."""
    places = dict(base.places)
    tree = _merged(base.tree, over.tree, (), places)
    problems = [*base.problems, *over.problems]
    return Document(over.name, tree, places | over.places, problems, (*over.chain, *base.chain))


def _merged(
    base: dict[str, Any], over: dict[str, Any], path: EntryPath, places: dict[EntryPath, Place]
) -> dict[str, Any]:
    """Maps merge by key; the places of what is replaced are forgotten."""
    result = dict(base)
    for key, value in over.items():
        known, here = result.get(key), (*path, key)
        if isinstance(known, dict) and isinstance(value, dict):
            result[key] = _merged(known, value, here, places)
        else:
            if isinstance(known, dict | list):
                for place in [place for place in places if place[: len(here)] == here]:
                    del places[place]
            result[key] = value
    return result
