"""Which exposed accounts reached their play's goal in time.

A goal is that the account enters or leaves a segment after its first exposure and within so many days of it; a move
within a group is an entry into one segment and an exit from another, as it is for plays. Transitions may come in any
order and more than once.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.action import Arm
from schemas.goal import Term
from schemas.timestamps import DAY_MS
from schemas.transition import Direction
from streams.report.exposures import Exposures

VERBS: Final = {Direction.ENTERED: "enters", Direction.EXITED: "exits"}


@dataclass(frozen=True, slots=True)
class Goal:
    """Any of these passages, within so many days."""

    terms: tuple[Term, ...]
    within_days: float

    @property
    def window_ms(self) -> int:
        return round(self.within_days * DAY_MS)

    def __str__(self) -> str:
        changes = " or ".join(f"{VERBS[direction]} {segment}" for direction, segment in self.terms)
        return f"{changes} within {self.within_days:g} days"


@dataclass(frozen=True, slots=True)
class Passage:
    """What a transition says of goals."""

    account_id: str
    segment: str
    direction: Direction
    from_segment: str | None
    at_ms: int

    def terms(self) -> list[Term]:
        match self.direction:
            case Direction.ENTERED:
                return [(Direction.ENTERED, self.segment)]
            case Direction.EXITED:
                return [(Direction.EXITED, self.segment)]
            case _:
                left = [(Direction.EXITED, self.from_segment)] if self.from_segment else []
                return [(Direction.ENTERED, self.segment), *left]


@dataclass(frozen=True, slots=True)
class ArmCount:
    """`exposed` accounts whose time is over, of which `reached` the goal; `immature`: theirs is not over yet."""

    exposed: int
    reached: int
    immature: int

    @property
    def drawn(self) -> int:
        return self.exposed + self.immature


class Outcomes:
    """Takes transitions, counts at the end. Remembers no more than the accounts that are exposed."""

    def __init__(self, exposures: Exposures, goals: Mapping[str, Goal]) -> None:
        self._exposures = exposures
        self._goals = goals
        self._waiting: dict[Term, list[str]] = defaultdict(list)
        for play, goal in goals.items():
            for term in goal.terms:
                self._waiting[term].append(play)
        self._reached: dict[str, set[str]] = {play: set() for play in goals}

    def take(self, passage: Passage) -> None:
        for term in passage.terms():
            for play in self._waiting.get(term, ()):
                exposure = self._exposures.first(play, passage.account_id)
                if exposure is None:
                    continue
                if exposure.at_ms < passage.at_ms <= exposure.at_ms + self._goals[play].window_ms:
                    self._reached[play].add(passage.account_id)

    def counts(self, play: str, as_of_ms: int) -> dict[Arm, ArmCount]:
        """As of that moment. Who reached the goal before the time is over is immature all the same.

        Counted at once they would be too many: of two accounts exposed yesterday, only the one that reached it would
        be looked at.
        """
        window_ms = self._goals[play].window_ms
        exposed = dict.fromkeys(Arm, 0)
        reached = dict.fromkeys(Arm, 0)
        immature = dict.fromkeys(Arm, 0)
        for exposure in self._exposures.of(play):
            if exposure.at_ms + window_ms > as_of_ms:
                immature[exposure.arm] += 1
                continue
            exposed[exposure.arm] += 1
            reached[exposure.arm] += exposure.account_id in self._reached[play]
        return {arm: ArmCount(exposed[arm], reached[arm], immature[arm]) for arm in Arm}
