"""Results for the terminal, and as rows of JSON."""

from collections.abc import Iterator
from math import isinf
from textwrap import wrap
from typing import Any, Final

from schemas.timestamps import format_ms
from streams.report import words
from streams.report.goals import ArmCount
from streams.report.intervals import Interval
from streams.report.judgement import Result
from streams.report.results import Report

COLUMNS: Final = 100


def text(report: Report) -> str:
    lines = [f"as of {format_ms(report.as_of_ms)}"]
    for result in report.results:
        lines += ["", f"{result.play}: {words.headline(result)}", *_body(result)]
    if report.unplanned:
        lines += ["", f"exposed, but no play with a goal in the playbook: {', '.join(report.unplanned)}"]
    return "\n".join(lines) + "\n"


def _body(result: Result) -> Iterator[str]:
    level = f"{result.question.confidence:.0%}"
    yield f"  goal         {result.goal}"
    yield f"  treatment    {_arm(result.treatment, result.treatment_share)}"
    yield f"  control      {_arm(result.control, result.baseline)}"
    if result.difference is not None:
        yield f"  difference   {words.interval(result.difference)} points, {level} interval"
        yield f"  relative     {words.lift(result.ratio)}"
    for sentence in (words.explanation(result), *words.remarks(result)):
        yield from wrap(sentence, COLUMNS, initial_indent="  ", subsequent_indent="  ")


def _arm(count: ArmCount, found: Interval | None) -> str:
    reached = "" if found is None else f" = {words.percent(found.estimate)}"
    return f"{count.reached} of {count.exposed}{reached}"


def rows(report: Report) -> Iterator[dict[str, Any]]:
    """One row a play."""
    for result in report.results:
        yield {
            "play": result.play,
            "goal": {"any": [list(term) for term in result.goal.terms], "within_days": result.goal.within_days},
            "as_of": format_ms(report.as_of_ms),
            "verdict": result.verdict.value,
            "says": f"{words.headline(result)}. {words.explanation(result)}",
            "treatment": _plain_arm(result.treatment),
            "control": _plain_arm(result.control),
            "confidence": result.question.confidence,
            "difference": _plain(result.difference),
            "ratio": _plain(result.ratio),
            "control_share": result.control_share,
            "p_split": result.p_split,
            "effect": result.question.effect,
            "needed": None if result.needed is None else {
                "treatment": result.needed.treatment, "control": result.needed.control,
            },
            "both_arms": result.both_arms,
            "kept_share": result.kept_share,
        }  # fmt: skip


def _plain_arm(count: ArmCount) -> dict[str, int]:
    return {"exposed": count.exposed, "reached": count.reached, "immature": count.immature}


def _plain(found: Interval | None) -> dict[str, float | None] | None:
    """JSON knows no infinity."""
    if found is None:
        return None
    return {
        name: None if isinf(value) else round(value, 6)
        for name, value in (("estimate", found.estimate), ("low", found.low), ("high", found.high))
    }
