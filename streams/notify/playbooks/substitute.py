"""`${VARIABLE}` in a destination's fields, from the environment: how secrets stay out of files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.notify.playbooks.document import Document, Place
from streams.notify.playbooks.problems import Problem, nearest

REFERENCE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|\$)|\$\{")
NEVER: Final = ("id", "type")
PLACEHOLDERS: Final = {"url": "https://placeholder.invalid/", "secret": "whsec_" + "A" * 32}


@dataclass(slots=True)
class Substituted:
    """The destinations with their variables' values, and what is wrong."""

    destinations: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Ids of destinations that have a problem."""


def substituted(document: Document, environ: Mapping[str, str] | None) -> Substituted:
    """Fill in the variables; `$$` stands for a dollar sign.

    Without an environment, what a variable would give is made up: to check a file where its secrets are not.
    """
    result = Substituted()
    destinations = document.tree.get("destinations")
    for index, entry in enumerate(destinations if isinstance(destinations, list) else []):
        name = str(entry.get("id", index))
        problems: list[Problem] = []
        result.destinations.append(
            {
                key: value if key in NEVER else _value(value, ("destinations", name, key), document, environ, problems)
                for key, value in entry.items()
            }
        )
        if problems:
            result.broken.add(name)
            result.problems += problems
    return result


def mentions_variable(value: Any) -> bool:
    return isinstance(value, str) and any(match.group(1) for match in REFERENCE.finditer(value))


def variables(document: Document) -> Iterator[str]:
    """Every variable that the destinations need."""
    destinations = document.tree.get("destinations")
    for entry in destinations if isinstance(destinations, list) else []:
        for key, value in entry.items():
            for text in value if isinstance(value, list) else [value]:
                if key not in NEVER and isinstance(text, str):
                    yield from (match.group(1) for match in REFERENCE.finditer(text) if match.group(1))


def _value(
    value: Any, path: Place, document: Document, environ: Mapping[str, str] | None, problems: list[Problem]
) -> Any:
    if isinstance(value, list):
        return [_value(item, path, document, environ, problems) for item in value]
    if not isinstance(value, str):
        return value
    if environ is None and mentions_variable(value):
        return PLACEHOLDERS.get(path[-1], "placeholder")
    known = environ or {}

    def replaced(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None and match.group(0) == "$$":
            return "$"
        if name is None:
            problems.append(document.problem(path, "${ begins no variable", "write ${NAME}, or $$ for a dollar sign"))
        elif not known.get(name):
            state = "is empty" if name in known else "is not set"
            fix = nearest(name, known, "set it") if name not in known else "give it a value"
            problems.append(document.problem(path, f"the environment variable {name} {state}", fix))
        else:
            return known[name]
        return ""

    return REFERENCE.sub(replaced, value)
