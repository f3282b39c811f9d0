"""Every text of a catalog that is a rule, parsed by itself, so that a fault in one hides none in another.

The texts are taken from the document, not from the validated catalog: a misspelt key elsewhere is no reason to keep
quiet about a rule.
"""

from collections.abc import Callable, Iterator
from typing import Any

from schemas.catalog import RULE_CHARS_MAX
from streams.catalogs.document import BY_ID, Document, EntryPath
from streams.catalogs.problems import Problem
from streams.engine.calendar import calendar_of
from streams.engine.rules.errors import RuleError
from streams.engine.rules.expression import Node
from streams.engine.rules.parse import Scope, parse_condition, parse_value
from streams.engine.rules.vocabulary import RESERVED_NAMES, WHERE

_Parse = Callable[[str, Scope], Node]


def rule_problems(document: Document) -> list[Problem]:
    """What is wrong with rules, definitions and conditions of named events, and with the names they go by."""
    problems = [*_name_problems(document)]
    broken: set[str] = set()
    for path, text, parse, scope in _texts(document):
        try:
            parse(text, scope)
        except RuleError as error:
            # That a definition is broken is told once, where it stands.
            if any(error.message.startswith(f"in the definition {name!r}: ") for name in broken):
                continue
            if path[0] == "definitions":
                broken.add(path[1])
            problems.append(document.problem(path, error.message, within=(text, _offset(text, error))))
    return problems


def _offset(text: str, error: RuleError) -> int:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return sum(len(line) + 1 for line in lines[: error.line - 1]) + error.column - 1


def _texts(document: Document) -> Iterator[tuple[EntryPath, str, _Parse, Scope]]:
    """Definitions first, since the others name them."""
    definitions = _maps(document.tree, "definitions")
    segments = {name: entry for name, entry in _maps(document.tree, BY_ID).items() if isinstance(entry, dict)}
    enabled = {name for name, entry in segments.items() if entry.get("enabled") is not False}
    written = {name: text for name, value in definitions.items() if (text := _text(value)) is not None}
    scope = Scope(frozenset(segments), written, frozenset(_maps(document.tree, "measures")))
    for name, text in written.items():
        yield ("definitions", name), text, parse_value, scope
    for name, entry in _maps(document.tree, "events").items():
        where = _text(entry.get("where")) if isinstance(entry, dict) else None
        if where is not None:
            yield ("events", name, "where"), where, parse_condition, Scope(vocabulary=WHERE)
    for name, entry in segments.items():
        for key in ("when", "exit_when"):
            rule = _text(entry.get(key)) if name in enabled else None
            if rule is not None:
                yield (BY_ID, name, key), rule, parse_condition, scope


def _name_problems(document: Document) -> Iterator[Problem]:
    for name in _maps(document.tree, "definitions"):
        if name in RESERVED_NAMES:
            message = "this name is taken by the rule vocabulary: choose another"
            yield document.problem(("definitions", name), message, at_key=True)
    events = _maps(document.tree, "events")
    for name, entry in events.items():
        event = entry.get("event") if isinstance(entry, dict) else None
        if isinstance(event, str) and event in events:
            message = f"{event!r} is a named event itself: name the event that producers send"
            yield document.problem(("events", name, "event"), message)
    timezone = document.tree.get("timezone")
    if isinstance(timezone, str):
        try:
            calendar_of(timezone)
        except ValueError as error:
            yield document.problem(("timezone",), str(error))


def _maps(tree: dict[str, Any], key: str) -> dict[str, Any]:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    """A rule's text as the model takes it; None if it is none, which the model tells."""
    text = str(value) if isinstance(value, bool | int | float) else value
    return text if isinstance(text, str) and 0 < len(text) <= RULE_CHARS_MAX else None
