"""What is wrong with a playbook, so that whoever wrote it can put it right: place, reason, fix. Never a value."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from streams.errors import InvalidSchemaError


@dataclass(frozen=True, slots=True)
class Problem:
    file: str
    line: int | None
    place: str
    """The entry, as `plays 'call-now' template`."""
    reason: str
    fix: str = ""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [where, self.place, self.reason] if self.place else [where, self.reason]
        return ": ".join(parts) + (f"; {self.fix}" if self.fix else "")


class PlaybookError(InvalidSchemaError):
    """A playbook cannot be used."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean x?`, or else what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return otherwise or (f"there is {', '.join(names)}" if names else "there is none yet")
