"""What one catalog made of a log: a course of memberships.

A move within a group is an entry into one segment and an exit from another.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streams.engine.found import Direction, Transition

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Step:
    """A transition without its reasons."""

    account_id: str
    segment: str
    direction: Direction
    group: str | None
    from_segment: str | None
    at_ms: int

    @property
    def entered(self) -> str | None:
        return None if self.direction == "exited" else self.segment

    @property
    def left(self) -> str | None:
        return self.segment if self.direction == "exited" else self.from_segment


@dataclass(frozen=True, slots=True)
class Course:
    """`segments` in catalog order, without disabled ones; `steps` in the order of time.

    `accounts`, and the `members` of each segment: those that are there at the end.
    """

    name: str
    version: str
    segments: tuple[str, ...]
    steps: tuple[Step, ...]
    accounts: int
    members: Mapping[str, frozenset[str]]

    def entries(self, since_ms: int) -> dict[str, dict[str, list[int]]]:
        """Per segment and account, when it entered, from `since_ms` on."""
        found: dict[str, dict[str, list[int]]] = {segment: defaultdict(list) for segment in self.segments}
        for step in self.steps:
            if step.at_ms >= since_ms and step.entered is not None:
                found[step.entered][step.account_id].append(step.at_ms)
        return found

    def changes(self, since_ms: int) -> dict[str, list[int]]:
        """Per segment, when it was entered or left, from `since_ms` on."""
        found: dict[str, list[int]] = {segment: [] for segment in self.segments}
        for step in self.steps:
            for segment in (step.entered, step.left) if step.at_ms >= since_ms else ():
                if segment is not None:
                    found[segment].append(step.at_ms)
        return found


def steps_of(transitions: Iterable[Transition]) -> Iterator[Step]:
    for one in transitions:
        yield Step(one.account_id, one.segment, one.direction, one.group, one.from_segment, one.effective_at)


@dataclass(frozen=True, slots=True)
class Span:
    """The time that rates are about."""

    start_ms: int
    end_ms: int

    @property
    def weeks(self) -> float:
        """At least one: a single day says nothing of a week's rate."""
        return max((self.end_ms - self.start_ms) / WEEK_MS, 1.0)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened: on average a week, and in the worst one, counted from the start."""

    per_week: float
    busiest_week: int

    @staticmethod
    def of(times: Collection[int], span: Span) -> "Rate":
        weeks: dict[int, int] = defaultdict(int)
        for at_ms in times:
            weeks[(at_ms - span.start_ms) // WEEK_MS] += 1
        return Rate(len(times) / span.weeks, max(weeks.values(), default=0))
