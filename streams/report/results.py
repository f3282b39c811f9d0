"""Results from two passes over the logs: the exposures first, then what became of them.

Two passes, because a goal can only be looked for once it is known who waits for it: so memory holds the exposures and
nothing of the transitions, however many there are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.action import Arm
from streams.report.exposures import Exposure, Exposures
from streams.report.goals import ArmCount, Goal, Outcomes, Passage
from streams.report.judgement import Question, Result, judged
from streams.report.records import UnreadableRecordError, read


@dataclass(frozen=True, slots=True)
class Plan:
    """A play that is to be judged: its goal, and the share of accounts that its control was to be."""

    play: str
    goal: Goal
    control_share: float


@dataclass(frozen=True, slots=True)
class Span:
    """Exposures from `since_ms` on count; what happened after `until_ms` is not known yet."""

    since_ms: int | None = None
    until_ms: int | None = None

    def covers(self, at_ms: int) -> bool:
        return (self.since_ms is None or at_ms >= self.since_ms) and (self.until_ms is None or at_ms <= self.until_ms)


@dataclass(frozen=True, slots=True)
class Report:
    results: tuple[Result, ...]
    as_of_ms: int
    unreadable: int
    unplanned: tuple[str, ...]
    """Plays that were exposed and are in no playbook any more, or have no goal."""


def results(
    actions: Callable[[], Iterable[bytes]],
    transitions: Callable[[], Iterable[bytes]],
    plans: Sequence[Plan],
    span: Span,
    question: Question,
    exposures: Exposures | None = None,
) -> Report:
    """Judge every play. Values of the other kind are passed over: both readers may be one, of files that are mixed.

    Without `until_ms` the present is the newest moment that the logs know of: who looks at a dump from last month
    sees what could be known then.
    """
    first = exposures or Exposures()
    look = _Look(span)
    look.for_exposures(actions(), first)
    outcomes = Outcomes(first, {plan.play: plan.goal for plan in plans})
    look.for_passages(transitions(), outcomes, anew=transitions is not actions)
    as_of_ms = look.newest_ms if span.until_ms is None else span.until_ms
    found = tuple(_result(plan, first, outcomes.counts(plan.play, as_of_ms), question) for plan in plans)
    unplanned = tuple(sorted(set(first.plays) - {plan.play for plan in plans}))
    return Report(found, as_of_ms, look.unreadable, unplanned)


class _Look:
    """One look at both logs."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.newest_ms = 0
        self.unreadable = 0

    def for_exposures(self, values: Iterable[bytes], exposures: Exposures) -> None:
        for value in values:
            try:
                found = read(value)
            except UnreadableRecordError:
                self.unreadable += 1
                continue
            if isinstance(found, tuple):
                self._expose(*found, exposures)

    def _expose(self, play: str, exposure: Exposure, exposures: Exposures) -> None:
        self.newest_ms = max(self.newest_ms, exposure.at_ms)
        if self._span.covers(exposure.at_ms):
            exposures.add(play, exposure)

    def for_passages(self, values: Iterable[bytes], outcomes: Outcomes, *, anew: bool) -> None:
        """Not `anew`: the same values as before, of which the unreadable ones are counted already."""
        for value in values:
            try:
                found = read(value)
            except UnreadableRecordError:
                self.unreadable += anew
                continue
            if isinstance(found, Passage):
                self.newest_ms = max(self.newest_ms, found.at_ms)
                if self._span.until_ms is None or found.at_ms <= self._span.until_ms:
                    outcomes.take(found)


def _result(plan: Plan, exposures: Exposures, counts: Mapping[Arm, ArmCount], question: Question) -> Result:
    return judged(
        plan.play, plan.goal, counts[Arm.TREATMENT], counts[Arm.CONTROL], plan.control_share,
        question=question, both_arms=exposures.in_both_arms(plan.play), kept_share=exposures.kept_share,
    )  # fmt: skip
