"""A playbook's YAML, with the file and line of every entry, also after it was laid over another.

A playbook that extends another is laid over it: maps merge by key; destinations and plays by id and then by key (they
keep their place, new ones come at the end); every other list is replaced. Aliases are refused: a few lines of them can
stand for gigabytes.
"""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from streams.notify.playbooks.problems import PlaybookError, Problem, nearest

BUILT_IN: Final = ("starter", "console", "plays")
BUILT_IN_PACKAGE: Final = "streams.catalogs.playbooks"
FILE_BYTES_MAX: Final = 256 << 10
EXTENDS_DEPTH_MAX: Final = 8
YAML_DEPTH_MAX: Final = 12
BY_ID: Final = ("destinations", "plays")

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    file: str
    line: int


@dataclass(slots=True)
class Document:
    """`tree` as it would be in YAML; `lines` by path, where entries of lists by id stand under their id."""

    name: str
    tree: dict[str, Any]
    lines: dict[Place, Line] = field(default_factory=dict)

    def problem(self, path: Place, reason: str, fix: str = "") -> Problem:
        """Say it of the entry, or of the nearest one above it that has a line."""
        found: Line | None = None
        for depth in range(len(path), 0, -1):
            found = self.lines.get(path[:depth])
            if found is not None:
                break
        shown = " ".join(
            repr(part) if i == 1 and path[0] in {*BY_ID, "templates"} else part for i, part in enumerate(path)
        )
        return Problem(found.file if found else self.name, found.line if found else None, shown, reason, fix)


def read_document(reference: str) -> Document:
    """A built-in's name, a file, or a folder of files; with all that they extend. Raises PlaybookError."""
    path = Path(reference)
    if reference not in BUILT_IN and path.is_dir():
        return _folder(path)
    return _resolved(reference, None, ())


def _folder(path: Path) -> Document:
    names = sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml"})
    if not names:
        raise PlaybookError([Problem(str(path), None, "", "the folder holds no .yaml file")])
    result = _resolved(str(names[0]), None, ())
    for name in names[1:]:
        other = _resolved(str(name), None, ())
        twice = [
            key for key in other.lines if len(key) == 2 and key in result.lines and key[0] in {*BY_ID, "templates"}
        ]
        if twice:
            first = result.lines[twice[0]]
            raise PlaybookError(
                [other.problem(key, f"stands also in {first.file}:{first.line}", "rename one") for key in twice]
            )
        result = laid_over(result, other)
    return result


def _resolved(reference: str, beside: Path | None, opened: tuple[str, ...]) -> Document:
    path = None if reference in BUILT_IN else (beside or Path()) / reference
    name = reference if path is None else str(path)
    if name in opened or len(opened) >= EXTENDS_DEPTH_MAX:
        circle = " -> ".join((*opened, name))
        raise PlaybookError([Problem(name, None, "extends", f"goes round in a circle or too deep: {circle}")])
    document = parse(name, _text(name, path))
    base = document.tree.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise PlaybookError([document.problem(("extends",), f"names a built-in ({', '.join(BUILT_IN)}) or a file")])
    folder = None if path is None else path.parent
    if base not in BUILT_IN and not ((folder or Path()) / base).is_file():
        reason = f"there is no file and no playbook {base!r}"
        raise PlaybookError([document.problem(("extends",), reason, nearest(base, BUILT_IN))])
    return laid_over(_resolved(base, folder, (*opened, name)), document)


def _text(name: str, path: Path | None) -> str:
    try:
        if path is None:
            return (files(BUILT_IN_PACKAGE) / f"{name}.yaml").read_text(encoding="utf-8")
        if path.stat().st_size > FILE_BYTES_MAX:
            raise PlaybookError([Problem(name, None, "", f"is larger than {FILE_BYTES_MAX} bytes")])
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        fix = nearest(name, BUILT_IN, f"built in are {', '.join(BUILT_IN)}")
        raise PlaybookError(
            [Problem(name, None, "", "there is no such file, and no playbook of that name", fix)]
        ) from None
    except OSError as error:
        raise PlaybookError([Problem(name, None, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise PlaybookError([Problem(name, None, "", f"is not UTF-8 at byte {error.start}")]) from None


def parse(name: str, text: str) -> Document:
    """Read YAML; raises PlaybookError with the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise PlaybookError([Problem(name, line, "", f"is not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, RecursionError):
        raise PlaybookError([Problem(name, None, "", "is not YAML")]) from None
    if not isinstance(root, yaml.MappingNode):
        raise PlaybookError([Problem(name, 1, "", "is no playbook", "begin with 'format: 1' and 'name: ...'")])
    reader = _Reader(name)
    return Document(name, reader.mapping(root, ()), reader.lines)


class _Reader:
    """Builds values from YAML nodes, each node once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, Line] = {}
        self._seen: set[int] = set()
        self._scalars = yaml.SafeLoader("")

    def mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                raise PlaybookError([Problem(self.name, line, "", "keys are plain words")])
            key = str(key_node.value)
            here = (*path, key)
            if key in result:
                raise PlaybookError([Problem(self.name, line, " ".join(here), "stands twice", "remove one")])
            self.lines[here] = Line(self.name, line)
            result[key] = self._value(value_node, here)
        return result

    def _value(self, node: yaml.Node, path: Place) -> Any:
        line = node.start_mark.line + 1
        if id(node) in self._seen:
            raise PlaybookError([Problem(self.name, line, " ".join(path), "is an alias", "write it out")])
        self._seen.add(id(node))
        if len(path) > YAML_DEPTH_MAX:
            raise PlaybookError([Problem(self.name, line, path[0], "is nested too deep")])
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, path, index) for index, item in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            raise PlaybookError([Problem(self.name, line, " ".join(path), "is no value that YAML knows")]) from None

    def _item(self, node: yaml.Node, path: Place, index: int) -> Any:
        name = str(index)
        if path in {(kind,) for kind in BY_ID}:
            if not isinstance(node, yaml.MappingNode):
                raise PlaybookError(
                    [Problem(self.name, node.start_mark.line + 1, path[0], "is a list of maps with an id")]
                )
            name = next((v.value for k, v in node.value if k.value == "id" and isinstance(v.value, str)), name)
            if (*path, name) in self.lines:
                line = node.start_mark.line + 1
                raise PlaybookError(
                    [Problem(self.name, line, f"{path[0]} {name!r}", "has the id of another", "rename one")]
                )
        self.lines[*path, name] = Line(self.name, node.start_mark.line + 1)
        return self._value(node, (*path, name))


def laid_over(base: Document, over: Document) -> Document:
    """`over` laid over `base`; neither is changed."""
    return Document(over.name, _merged(base.tree, over.tree), base.lines | over.lines)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        if key in BY_ID and isinstance(known, list) and isinstance(value, list):
            result[key] = _merged_by_id(known, value)
        elif isinstance(known, dict) and isinstance(value, dict):
            result[key] = _merged(known, value)
        else:
            result[key] = value
    return result


def _merged_by_id(base: list[Any], over: list[Any]) -> list[Any]:
    entries = {entry.get("id", f"#{index}"): entry for index, entry in enumerate(base)}
    for index, entry in enumerate(over):
        key = entry.get("id", f"##{index}")
        entries[key] = _merged(entries.get(key, {}), entry)
    return list(entries.values())
