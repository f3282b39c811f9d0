"""How a subject stands in the registry, and what is to be done about it. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.compatibility import breaking
from streams.schema_registry.desired import LEVEL, Subject


class Standing(StrEnum):
    """Why something is to be done, or not."""

    REGISTERED = "registered"
    """The newest version is ours."""
    MISSING = "missing"
    """The registry does not know the subject."""
    COMPATIBLE = "compatible"
    """The newest version is another one, and ours may follow it."""
    LEVEL_DIFFERS = "level_differs"
    """The newest version is ours; the subject's compatibility level is not."""
    REFUSED_BY_US = "refused_by_us"
    """Ours would harm those who know the newest version."""
    REFUSED_BY_REGISTRY = "refused_by_registry"
    """The registry says that ours may not follow."""


REFUSED = frozenset({Standing.REFUSED_BY_US, Standing.REFUSED_BY_REGISTRY})


@dataclass(frozen=True, slots=True)
class Found:
    """What the registry has of a subject."""

    schema: dict[str, Any]
    schema_id: int
    version: int
    level: str
    accepts: bool
    """Whether the registry would take our schema as the next version."""


@dataclass(frozen=True, slots=True)
class Verdict:
    subject: Subject
    standing: Standing
    found: Found | None = None
    details: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        return self.standing in REFUSED


def judge(subject: Subject, found: Found | None) -> Verdict:
    if found is None:
        return Verdict(subject, Standing.MISSING)
    if found.schema == subject.schema:
        if found.level == LEVEL:
            return Verdict(subject, Standing.REGISTERED, found)
        return Verdict(subject, Standing.LEVEL_DIFFERS, found, (f"level is {found.level}, not {LEVEL}",))
    harm = tuple(str(change) for change in breaking(found.schema, subject.schema, subject.sides))
    if harm:
        return Verdict(subject, Standing.REFUSED_BY_US, found, harm)
    if not found.accepts:
        hint = f"its level is {found.level}" + ("" if found.level == LEVEL else f"; set it to {LEVEL}")
        return Verdict(subject, Standing.REFUSED_BY_REGISTRY, found, (hint,))
    return Verdict(subject, Standing.COMPATIBLE, found)
