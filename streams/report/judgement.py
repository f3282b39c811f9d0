"""One word for what the numbers say, in the order in which a careful reader would ask.

| question | if not |
|---|---|
| is a control drawn at all? | `no_control` |
| are the arms as large as they were drawn? | `mismatch` |
| is anybody's time over, in both arms? | `too_early` |
| does the interval leave out 0? | `too_small` to tell; `no_difference` where the stated effect would have been seen |
| is the difference above 0? | `worse`; if so, `better` |

An interval is looked at as often as somebody asks, and each look is another chance to be fooled: decide when to look
before the play goes live. `too_small` says how many accounts that takes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.report import intervals
from streams.report.goals import ArmCount, Goal
from streams.report.intervals import Interval
from streams.report.power import Needed, needed
from streams.report.split import SUSPICIOUS_BELOW, p_of_split

CONFIDENCE_DEFAULT: Final = 0.95
EFFECT_DEFAULT: Final = 0.05
"""An absolute difference of five points."""


class Verdict(StrEnum):
    NO_CONTROL = "no_control"
    TOO_EARLY = "too_early"
    MISMATCH = "mismatch"
    TOO_SMALL = "too_small"
    NO_DIFFERENCE = "no_difference"
    BETTER = "better"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the numbers: how sure to be, and which effect would be worth knowing of."""

    confidence: float = CONFIDENCE_DEFAULT
    effect: float = EFFECT_DEFAULT


@dataclass(frozen=True, slots=True)
class Result:
    play: str
    goal: Goal
    treatment: ArmCount
    control: ArmCount
    question: Question
    verdict: Verdict
    control_share: float
    """Of the accounts, those that were to be drawn into the control."""
    p_split: float
    treatment_share: Interval | None = None
    baseline: Interval | None = None
    difference: Interval | None = None
    ratio: Interval | None = None
    needed: Needed | None = None
    """For the observed baseline and the effect asked for."""
    both_arms: int = 0
    kept_share: float = 1.0


def judged(  # noqa: PLR0913 - one fact each
    play: str,
    goal: Goal,
    treatment: ArmCount,
    control: ArmCount,
    control_share: float,
    *,
    question: Question,
    both_arms: int = 0,
    kept_share: float = 1.0,
) -> Result:
    """All that can be said of one play."""
    drawn = 0 < control_share < 1
    p_split = p_of_split(treatment.drawn, control.drawn, control_share) if drawn else 1.0
    confidence = question.confidence
    one = intervals.share(treatment.reached, treatment.exposed, confidence) if treatment.exposed else None
    other = intervals.share(control.reached, control.exposed, confidence) if control.exposed else None
    apart = by = sizes = None
    if one is not None and other is not None:
        apart, by = intervals.difference(one, other), intervals.ratio(one, other)
    if other is not None and drawn:
        sizes = needed(other.estimate, question.effect, control_share, confidence)
    verdict = _verdict(treatment, control, drawn=drawn, p_split=p_split, apart=apart, sizes=sizes)
    return Result(
        play, goal, treatment, control, question, verdict, control_share, p_split, one, other, apart, by, sizes,
        both_arms, kept_share,
    )  # fmt: skip


def _verdict(
    treatment: ArmCount,
    control: ArmCount,
    *,
    drawn: bool,
    p_split: float,
    apart: Interval | None,
    sizes: Needed | None,
) -> Verdict:
    if not drawn:
        return Verdict.NO_CONTROL
    if p_split < SUSPICIOUS_BELOW:
        return Verdict.MISMATCH
    if apart is None:
        return Verdict.TOO_EARLY
    if apart.leaves_out(0):
        return Verdict.BETTER if apart.estimate > 0 else Verdict.WORSE
    enough = sizes is not None and treatment.exposed >= sizes.treatment and control.exposed >= sizes.control
    return Verdict.NO_DIFFERENCE if enough else Verdict.TOO_SMALL
