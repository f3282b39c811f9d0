"""What a result says, in sentences: for people who have to decide something and have had no statistics since school."""

from math import inf
from typing import Final

from streams.report.goals import ArmCount
from streams.report.intervals import Interval
from streams.report.judgement import Result, Verdict
from streams.report.power import POWER

METHOD: Final = (
    "Difference: treatment minus control, with Newcombe's hybrid score interval (1998, method 10); ratio: MOVER-R "
    "(Donner and Zou 2012); both from Wilson's intervals of the two shares. Each account counts once, in the arm and "
    "at the moment of its first exposure."
)
HEADLINES: Final = {
    Verdict.NO_CONTROL: "no control group: whether it works cannot be told",
    Verdict.TOO_EARLY: "too early: in one of the arms nobody's time is over yet",
    Verdict.MISMATCH: "do not trust: the arms are not as large as they were drawn",
    Verdict.TOO_SMALL: "too few accounts to tell",
    Verdict.NO_DIFFERENCE: "no difference that matters",
    Verdict.BETTER: "better with the play than without",
    Verdict.WORSE: "worse with the play than without",
}

LABELS: Final = {
    Verdict.NO_CONTROL: "no control",
    Verdict.TOO_EARLY: "too early",
    Verdict.MISMATCH: "do not trust",
    Verdict.TOO_SMALL: "too few to tell",
    Verdict.NO_DIFFERENCE: "no difference",
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
}


def headline(result: Result) -> str:
    return HEADLINES[result.verdict]


def explanation(result: Result) -> str:
    """What to make of it, and what to do next."""
    match result.verdict:
        case Verdict.NO_CONTROL:
            return f"Give the play {result.play} a holdout_percent: who is not told is what it is compared with."
        case Verdict.TOO_EARLY:
            empty = [arm for arm, count in _arms(result) if not count.exposed]
            days = f"{result.goal.within_days:g} days"
            return f"No account in {' or '.join(empty)} was exposed {days} ago; look again later."
        case Verdict.MISMATCH:
            return (
                f"{result.treatment.drawn} treatment and {result.control.drawn} control, where "
                f"{percent(result.control_share)} was to be control: chance makes that once in "
                f"{_once_in(result.p_split)}. Something lost accounts of one arm; whatever did so may have made the "
                "difference too. Did holdout_percent change on the way?"
            )
        case Verdict.TOO_SMALL:
            return f"The difference lies anywhere {_between(result.difference)}. {_more(result)}"
        case Verdict.NO_DIFFERENCE:
            effect = points(result.question.effect)
            return (
                f"The difference lies {_between(result.difference)}; one of {effect} is seen in {POWER:.0%} of cases."
            )
        case _:
            return f"The difference lies {_between(result.difference)}, so not at 0."


def remarks(result: Result) -> list[str]:
    """What else a reader should know."""
    told = []
    immature = result.treatment.immature + result.control.immature
    if immature:
        told.append(f"{_accounts(immature)} left out: exposed less than {result.goal.within_days:g} days ago.")
    if result.both_arms:
        told.append(f"{_accounts(result.both_arms)} drawn into both arms one after the other; the first one counts.")
    if result.kept_share < 1:
        told.append(f"Too many exposures for memory: {percent(result.kept_share)} of the accounts were looked at.")
    return told


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"


def points(difference: float) -> str:
    return f"{difference * 100:g} points"


def signed(difference: float) -> str:
    """In points, `+3.1`."""
    shown = f"{difference * 100:+.1f}"
    return shown[1:] if float(shown) == 0 else shown.replace("-", "\N{MINUS SIGN}")


def interval(found: Interval | None) -> str:
    """`+3.1 (-0.4 to +6.6)`, in points."""
    return "-" if found is None else f"{signed(found.estimate)} ({signed(found.low)} to {signed(found.high)})"


def lift(found: Interval | None) -> str:
    """The ratio as what it adds, `+21 % (-3 % to +51 %)`."""
    return "-" if found is None else f"{_lift(found.estimate)} ({_lift(found.low)} to {_lift(found.high)})"


def _lift(ratio: float) -> str:
    return "any" if ratio == inf else f"{(ratio - 1) * 100:+.0f} %".replace("-", "\N{MINUS SIGN}")


def _between(found: Interval | None) -> str:
    return "" if found is None else f"between {signed(found.low)} and {signed(found.high)} points"


def _more(result: Result) -> str:
    sizes = result.needed
    if sizes is None:
        return f"An effect of {points(result.question.effect)} does not fit such a baseline; ask for another one."
    missing_treatment = max(0, sizes.treatment - result.treatment.exposed)
    missing_control = max(0, sizes.control - result.control.exposed)
    baseline = percent(result.baseline.estimate if result.baseline else None)
    return (
        f"To see {points(result.question.effect)} over {baseline} with a power of {POWER:.0%} takes "
        f"{sizes.treatment} treatment and {sizes.control} control; {missing_treatment} and {missing_control} are "
        "missing."
    )


def _arms(result: Result) -> tuple[tuple[str, ArmCount], ...]:
    return ("treatment", result.treatment), ("control", result.control)


def _accounts(count: int) -> str:
    return "1 account was" if count == 1 else f"{count} accounts were"


def _once_in(p: float) -> str:
    return "a billion" if p < 1e-9 else f"{round(1 / p):,}"
