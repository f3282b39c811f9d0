"""`${VARIABLE}` and `${file:/path}` in a destination's fields: how secrets stay out of playbooks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streams.notify.playbooks.document import Document, Place
from streams.notify.playbooks.problems import Problem, nearest

REFERENCE: Final = re.compile(r"\$(?:\{(?:([A-Za-z_][A-Za-z0-9_]*)|file:([^}]+))\}|\$)|\$\{")
SECRET_BYTES_MAX: Final = 64 << 10
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
    """Fill in the variables and the contents of files; `$$` stands for a dollar sign.

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
    return isinstance(value, str) and any(match[1] or match[2] for match in REFERENCE.finditer(value))


def _value(
    value: Any, path: Place, document: Document, environ: Mapping[str, str] | None, problems: list[Problem]
) -> Any:
    if isinstance(value, list):
        return [_value(item, path, document, environ, problems) for item in value]
    if isinstance(value, dict):
        return {key: _value(inner, (*path, key), document, environ, problems) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    if environ is None and mentions_variable(value):
        return PLACEHOLDERS.get(path[-1], "placeholder")
    known = environ or {}

    def replaced(match: re.Match[str]) -> str:
        name, file = match[1], match[2]
        if match[0] == "$$":
            return "$"
        if file is not None:
            return _content(file, path, document, problems)
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


def _content(file: str, path: Place, document: Document, problems: list[Problem]) -> str:
    """Of a file that holds one secret, as container platforms mount them; the line's end is none of it."""
    try:
        raw = Path(file).read_bytes()[: SECRET_BYTES_MAX + 1]
        if raw.strip() and len(raw) <= SECRET_BYTES_MAX:
            return raw.decode().rstrip("\r\n")
        reason = "is empty" if not raw.strip() else f"is larger than {SECRET_BYTES_MAX} bytes"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    problems.append(document.problem(path, f"the file {file} {reason}"))
    return ""
