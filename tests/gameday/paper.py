"""The part of docs/gameday.md that the script writes."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

from deploy.prometheus.documents import groups
from deploy.prometheus.rules import Alert, Site
from tests.gameday.alerts import Fired
from tests.gameday.pace import at_real_pace, spoken
from tests.gameday.results import GameDay, Outcome, Scraped
from tests.gameday.scenarios import WAITS_S
from tests.gameday.truth import Truth

PAGE: Final = Path(__file__).parents[2] / "docs" / "gameday.md"
BEGIN: Final = "<!-- What follows is written by `python -m tests.gameday`. -->\n"
END: Final = "<!-- End of what is written. -->\n"


def written_into(page: str, day: GameDay) -> str:
    """The page with its middle made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert rest, "the page has no place for the tables"
    return f"{before}{BEGIN}\n{tables(day)}\n{END}{after}"


def tables(day: GameDay) -> str:
    return "\n".join([*_heading(day), "", *_faults(day), "", *_steps(day), "", *_scrapes(day)]) + "\n"


def _heading(day: GameDay) -> Iterator[str]:
    yield f"At {day.factor} of the usual pace, in {spoken(day.took_s)}."
    yield ""
    yield "; ".join(f"{name}: {value}" for name, value in day.circumstances.items()) + "."
    yield ""
    if not day.is_right:
        yield f"**Not as it should be: {', '.join(day.wrong)}.**"
    else:
        yield "Every expected alert fired, no page that its fault does not explain, and nothing was lost."
    yield ""
    if day.end is not None:
        yield f"At the end, after the last worker had left in good order: {_told(day.end)}."


def _faults(day: GameDay) -> Iterator[str]:
    yield "## Faults and alerts"
    yield ""
    yield (
        "| fault | alert that had to fire | after | at the usual pace | gone, from the repair on | other pages "
        "| tickets beside | lost |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for one in day.outcomes:
        yield f"| {' | '.join(_fault_cells(one, Fraction(day.factor)))} |"


def _fault_cells(one: Outcome, factor: Fraction) -> list[str]:
    told = {(fired.alarm.name, fired.alarm.severity): fired for fired in reversed(one.verdict.fired)}
    due = [(told.get((name, severity)), name, severity) for name, severity in one.expected.items()]
    expected = [fired for fired, _, _ in due if fired is not None]
    return [
        f"**{one.name}**: {one.fault}",
        "<br>".join(f"{name} ({severity})" + ("" if fired else " **did not fire**") for fired, name, severity in due),
        "<br>".join(f"{fired.after_s:.0f} s" for fired in expected),
        "<br>".join(str(at_real_pace(fired.after_s, held_s(fired), float(factor))) for fired in expected),
        "<br>".join(_gone(fired) for fired in expected),
        _others(one, pages=True),
        _others(one, pages=False),
        "; ".join(one.truth.problems) or "nothing",
    ]


def _gone(fired: Fired) -> str:
    return "stayed" if fired.gone_s is None else f"{fired.gone_s:.0f} s"


def _others(one: Outcome, *, pages: bool) -> str:
    names = {
        fired.alarm.name
        for fired in one.verdict.fired
        if fired.alarm.is_page is pages and one.expected.get(fired.alarm.name) != fired.alarm.severity
    }
    told = [f"**{name}**" if name in one.verdict.unexplained else name for name in sorted(names)]
    return ", ".join(told) or "none"


def held_s(fired: Fired) -> float:
    """At the usual pace: the alert's `for`, and the age that it waits for. The shortest of its rules."""
    holds = [
        rule.hold_s
        for group in groups(Site())
        for rule in group.rules
        if isinstance(rule, Alert) and (rule.name, rule.severity) == (fired.alarm.name, fired.alarm.severity)
    ]
    return min(holds, default=0.0) + WAITS_S.get(fired.alarm.name, 0.0)


def _steps(day: GameDay) -> Iterator[str]:
    yield "## What was done"
    yield ""
    yield "| fault | runbook | step | outcome |"
    yield "|---|---|---|---|"
    for one in day.outcomes:
        for number, step in enumerate(one.steps):
            first = [one.name, f"[{one.runbook}](runbooks/{one.runbook}.md)"] if number == 0 else ["", ""]
            yield f"| {' | '.join([*first, _cell(step.text), _cell(step.outcome)])} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _scrapes(day: GameDay) -> Iterator[str]:
    yield "## `/metrics` after all that"
    yield ""
    yield (
        "| process | series at the start | at the end | bound | scrape at rest | during all of it: half | 99 % "
        "| slowest |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for one in day.scraped:
        yield f"| {' | '.join(_scrape_cells(one))} |"


def _scrape_cells(one: Scraped) -> list[str]:
    times = (one.rest_ms, one.median_ms, one.p99_ms, one.slowest_ms)
    return [
        one.name, str(one.series_first), str(one.series_last), f"{one.series_max:,}", *(f"{ms:.1f} ms" for ms in times),
    ]  # fmt: skip


def _told(truth: Truth) -> str:
    what = (
        f"{truth.events:,} events, {truth.transitions:,} transitions, {truth.deliveries:,} messages, "
        f"{truth.repeats} of them twice"
    )
    return f"{what}; {'; '.join(truth.problems) or 'every one is where it belongs'}"
