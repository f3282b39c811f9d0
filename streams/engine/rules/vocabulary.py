"""The words of a rule: every name and function that an expression may use, with arity and types, as tables.

A word that is not here does not exist: the parser refuses it and offers the nearest one. Words of later catalogs are
added here first, then given code in `compile`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.engine.rules.expression import Kind

STAGES: Final = ("trial", "customer", "expired", "cancelled")
ALL_ACTIVITY: Final = "*"


class Param(StrEnum):
    EVENT = "an event name in quotes"
    DAYS = "a whole number of days"
    TIME = 'a time such as signed_up_at or last("...")'
    NUMBER = "a number"
    TEXT = "a text"
    LITERAL_TEXT = "a text in quotes"
    SEGMENT = "a segment's id in quotes"
    MEASURE = "a measure's name in quotes"
    DEFINITION = "a definition's name in quotes"
    PERCENT = "a whole number of percent"
    DURATION = "a number of days"
    ANY = "a value"


@dataclass(frozen=True, slots=True)
class Signature:
    """Positional parameters, then keywords as (name, kind, required)."""

    returns: Kind
    positional: tuple[Param, ...] = ()
    keywords: tuple[tuple[str, Param, bool], ...] = ()
    nullable: bool = False


_DAYS: Final = (("days", Param.DAYS, True),)
_DAYS_BEFORE: Final = (("days", Param.DAYS, True), ("before", Param.DAYS, False))

# Names that stand for a value: kind, and whether it can be unknown.
NAMES: Final[dict[str, tuple[Kind, bool]]] = {
    "stage": (Kind.TEXT, False),
    "activated": (Kind.BOOL, False),
    "activation_rate": (Kind.NUMBER, False),
    "plan": (Kind.TEXT, True),
    "mrr": (Kind.NUMBER, True),
    "seats": (Kind.NUMBER, True),
    "usage_ratio": (Kind.NUMBER, True),
    "nps": (Kind.NUMBER, True),
    "signed_up_at": (Kind.TIME, False),
    "trial_ends_at": (Kind.TIME, False),
    "activated_at": (Kind.TIME, True),
    "converted_at": (Kind.TIME, True),
    "cancelled_at": (Kind.TIME, True),
    "last_active_at": (Kind.TIME, False),
    "first_value_at": (Kind.TIME, True),
}

# Functions that read the account's state.
TERMS: Final[dict[str, Signature]] = {
    "count": Signature(Kind.NUMBER, (Param.EVENT,), (("days", Param.DAYS, False), ("before", Param.DAYS, False))),
    "score": Signature(Kind.NUMBER, (), _DAYS_BEFORE),
    "measure": Signature(Kind.NUMBER, (Param.MEASURE,), _DAYS_BEFORE, nullable=True),
    "active_users": Signature(Kind.NUMBER, (), _DAYS),
    "active_days": Signature(Kind.NUMBER, (), _DAYS),
    "core_features": Signature(Kind.NUMBER, (), _DAYS),
    "teams": Signature(Kind.NUMBER, (), _DAYS),
    "last": Signature(Kind.TIME, (Param.EVENT,), nullable=True),
    "trait": Signature(Kind.ANY, (Param.LITERAL_TEXT,), nullable=True),
    "sequence": Signature(
        Kind.BOOL,
        (Param.EVENT, Param.EVENT),
        (("within_days", Param.DURATION, True), ("days", Param.DAYS, True)),
    ),
    "member": Signature(Kind.BOOL, (Param.SEGMENT,)),
}

# Functions over values; the parser knows each of them.
FUNCTIONS: Final = (
    "since", "until", "known", "default", "contains", "starts_with", "time", "without", "min", "max", "abs", "round",
)  # fmt: skip

# Functions that compare an account with all others.
POPULATION: Final = ("top_percent", "quintile")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that one kind of rule may use."""

    names: Mapping[str, tuple[Kind, bool]]
    terms: Mapping[str, Signature]
    functions: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.names, *self.terms, *self.functions)


RULE: Final = Vocabulary(NAMES, TERMS, (*FUNCTIONS, *POPULATION))

RESERVED_NAMES: Final = RULE.words

# The condition of a named event sees the event's properties and nothing else.
WHERE: Final = Vocabulary(
    {},
    {"property": Signature(Kind.ANY, (Param.LITERAL_TEXT,), nullable=True)},
    ("known", "default", "contains", "starts_with", "min", "max", "abs", "round"),
)
