"""What is wrong with a catalog, so that whoever wrote it can put it right: file, line, column, entry, reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.engine.rules.errors import CatalogError

PROBLEMS_SHOWN_MAX: Final = 50
FOUND_CHARS_MAX: Final = 80


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """`line` and `column` count characters of the file from 1; None where the file as a whole is meant."""

    file: str
    line: int | None
    column: int | None
    entry: str
    """The entry, as `segments 'at_risk' when`."""
    message: str
    severity: Severity = Severity.ERROR
    excerpt: str = ""
    """The line as the file has it."""

    @property
    def where(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.entry, self.message) if part)


class InvalidCatalogError(CatalogError):
    """A catalog with all that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(": ".join(part for part in (first.where, first.entry) if part), first.message)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:PROBLEMS_SHOWN_MAX]]
        if len(self.problems) > PROBLEMS_SHOWN_MAX:
            lines.append(f"and {len(self.problems) - PROBLEMS_SHOWN_MAX} more")
        return "\n".join(lines)


def shown(value: object) -> str:
    """A value that was found, short enough for a line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= FOUND_CHARS_MAX else f"{text[: FOUND_CHARS_MAX - 3]}..."
