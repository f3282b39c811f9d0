"""What a rule means after parsing: a typed tree, free of syntax.

A node is a value at a moment: its kind says of which type, `nullable` whether it can be unknown, `linear` whether it
moves with time by itself (then it is a linear function of now, piecewise after min, max and abs). Terms are the leaves
that read the account's state; everything that a program must keep up to date for a catalog is found by walking the
trees for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    NUMBER = "number"
    TEXT = "text"
    BOOL = "true or false"
    TIME = "time"
    ANY = "any value"
    NONE = "None"


class Op(StrEnum):
    CONST = "const"
    TERM = "term"
    SINCE = "since"
    UNTIL = "until"
    ARITHMETIC = "arithmetic"
    NEGATE = "negate"
    CALL = "call"
    COMPARE = "compare"
    IS_NONE = "is_none"
    IN = "in"
    AND = "and"
    OR = "or"
    NOT = "not"
    KNOWN = "known"
    DEFAULT = "default"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    TIME_OF = "time_of"
    QUINTILE = "quintile"


@dataclass(frozen=True, slots=True)
class Term:
    """A leaf: a named reading of the account's state. Unused arguments keep their defaults."""

    name: str
    event: str = ""
    other: str = ""
    days: int = 0  # 0: no window, all applied so far
    before: int = 0
    within_ms: int = 0
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a rule. `value` is the constant, the operator or the `Term`; `text` is what the author wrote."""

    op: Op
    kind: Kind
    text: str
    args: tuple["Node", ...] = ()
    value: Any = None
    nullable: bool = False
    linear: bool = False

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, parents first."""
        yield self
        for arg in self.args:
            yield from arg.walk()

    def parts(self) -> tuple["Node", ...]:
        """The operands of a rule's outermost `and` or `or`; the rule itself if there is none."""
        return self.args if self.op in (Op.AND, Op.OR) else (self,)

    def moves_with_time(self) -> bool:
        """Whether it may change with neither a record nor a window that holds anything."""
        return any(node.op in (Op.SINCE, Op.UNTIL) for node in self.walk()) or any(
            term.name == "stage" for term in self.terms()
        )

    def terms(self) -> Iterator[Term]:
        for node in self.walk():
            if node.op is Op.TERM:
                yield node.value
