"""Errors of the catalog's author: they name the place, what was found, what is allowed and the nearest known name."""

from collections.abc import Iterable
from difflib import get_close_matches


class RuleError(ValueError):
    """A rule that cannot be compiled. `line` and `column` count from 1 within the rule's text."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class CatalogError(ValueError):
    """A catalog that cannot be used: `place` is the file, and the entry in it."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message, or nothing when no known name is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
