"""Results as one HTML file: no script, no font, no picture from elsewhere; light and dark; readable by a screen reader.

The picture shows each difference with its interval against a line at 0, to one scale for all plays; the same numbers
stand in the table, so nobody depends on seeing it. Every text is escaped: ids come from a playbook, but pages travel.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final

from schemas.timestamps import format_ms
from streams.report import words
from streams.report.goals import ArmCount
from streams.report.intervals import Interval
from streams.report.judgement import Result, Verdict
from streams.report.results import Report

PLOT_WIDTH: Final = 640
LABEL_WIDTH: Final = 170
ROW_HEIGHT: Final = 34
MARGIN: Final = 16
AXIS_HEIGHT: Final = 30
SCALE_MIN: Final = 0.05
TICKS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
TICKS_A_SIDE_MAX: Final = 4
LABEL_CHARS_MAX: Final = 24

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6369; --line: #d5dade; --ground: #ffffff;
  --good: #0b6e4f; --bad: #a3321f; --open: #4a5a70; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaec; --soft: #a4adb3; --line: #3a4248; --ground: #14181b;
  --good: #57c79c; --bad: #ff8f7a; --open: #a9bad1; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0; max-width: 46rem; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td, tbody th { white-space: nowrap; } td.number, th.number { text-align: right; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
.better { color: var(--good); } .worse, .mismatch { color: var(--bad); }
figure { margin: 1.5rem 0; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .nought { stroke: var(--soft); stroke-dasharray: 3 3; }
svg .tick { fill: var(--soft); }
svg .whole { stroke: var(--open); fill: var(--open); stroke-width: 2.5; }
svg .better { stroke: var(--good); fill: var(--good); } svg .worse { stroke: var(--bad); fill: var(--bad); }
"""

POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)


def page(report: Report) -> str:
    as_of = format_ms(report.as_of_ms)
    body = _plays(report.results) if report.results else "<p>No play of the playbook has a goal.</p>"
    unplanned = (
        f'<p class="soft">Exposed, but no play with a goal in the playbook: {escape(", ".join(report.unplanned))}.</p>'
        if report.unplanned
        else ""
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Pegel: do the plays work?</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Do the plays work?</h1>
<p class="soft">As of <time datetime="{as_of}">{as_of}</time></p>
{body}
{unplanned}
<p class="soft">{escape(words.METHOD)}</p>
</main>
</body>
</html>
"""


def _plays(results: Sequence[Result]) -> str:
    drawn = [result for result in results if result.difference is not None]
    picture = _plot(drawn) if drawn else ""
    return f"{picture}\n{_table(results)}\n{''.join(_section(result) for result in results)}"


def _section(result: Result) -> str:
    sentences = "".join(
        f"<p>{escape(sentence)}</p>" for sentence in (words.explanation(result), *words.remarks(result))
    )
    return (
        f'<section><h2>{escape(result.play)}: <span class="{result.verdict}">{escape(words.headline(result))}</span>'
        f'</h2><p class="soft">Goal: {escape(str(result.goal))}</p>{sentences}</section>\n'
    )


def _table(results: Sequence[Result]) -> str:
    level = f"{results[0].question.confidence:.0%}"
    return f"""<div class="scroll"><table>
<caption>Accounts that reached the goal; differences in points, with {level} intervals</caption>
<thead><tr><th scope="col">Play</th><th scope="col" class="number">Treatment</th>
<th scope="col" class="number">Control</th><th scope="col" class="number">Difference</th>
<th scope="col" class="number">Relative</th><th scope="col">Verdict</th></tr></thead>
<tbody>
{"".join(_row(result) for result in results)}</tbody>
</table></div>"""


def _row(result: Result) -> str:
    numbers = (
        _arm(result.treatment, result.treatment_share), _arm(result.control, result.baseline),
        words.interval(result.difference), words.lift(result.ratio),
    )  # fmt: skip
    cells = "".join(f'<td class="number">{escape(number)}</td>' for number in numbers)
    return (
        f'<tr><th scope="row">{escape(result.play)}</th>{cells}'
        f'<td class="{result.verdict}">{escape(words.LABELS[result.verdict])}</td></tr>\n'
    )


def _arm(count: ArmCount, share: Interval | None) -> str:
    return f"{count.reached} of {count.exposed}" + (f" ({words.percent(share.estimate)})" if share else "")


def _plot(results: Sequence[Result]) -> str:
    """Dot and line a play, one scale for all."""
    found = [result.difference for result in results if result.difference is not None]
    reach = max(SCALE_MIN, *(abs(limit) for one in found for limit in (one.low, one.high)))
    scale = _Scale(reach)
    bottom = MARGIN + ROW_HEIGHT * len(results)
    marks = "".join(_tick(scale, value, bottom) for value in _ticks(reach))
    bars = "".join(_bar(scale, result, MARGIN + ROW_HEIGHT * n + ROW_HEIGHT / 2) for n, result in enumerate(results))
    height = bottom + AXIS_HEIGHT
    return (
        f'<figure><svg viewBox="0 0 {PLOT_WIDTH} {height:g}" width="{PLOT_WIDTH}" height="{height:g}" role="img" '
        f'aria-labelledby="plot-title"><title id="plot-title">Difference between treatment and control for each play, '
        f"with its interval, in points; the table has the numbers</title>{marks}{bars}</svg></figure>"
    )


class _Scale:
    """From a difference to a place on the picture."""

    def __init__(self, reach: float) -> None:
        self._half = (PLOT_WIDTH - LABEL_WIDTH - 2 * MARGIN) / 2
        self._reach = reach

    def x(self, value: float) -> float:
        return LABEL_WIDTH + MARGIN + self._half * (1 + value / self._reach)


def _ticks(reach: float) -> list[float]:
    step = next((step for step in TICKS if reach / step <= TICKS_A_SIDE_MAX), TICKS[-1])
    count = int(reach / step + 1e-9)
    return [n * step for n in range(-count, count + 1)]


def _tick(scale: _Scale, value: float, bottom: float) -> str:
    x = scale.x(value)
    kind = "nought" if value == 0 else "axis"
    return (
        f'<line class="{kind}" x1="{x:.1f}" y1="{MARGIN}" x2="{x:.1f}" y2="{bottom:g}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{escape(words.signed(value))}</text>'
    )


def _bar(scale: _Scale, result: Result, y: float) -> str:
    found = result.difference
    assert found is not None
    kind = f"whole {result.verdict}" if result.verdict in {Verdict.BETTER, Verdict.WORSE} else "whole"
    name = result.play if len(result.play) <= LABEL_CHARS_MAX else result.play[: LABEL_CHARS_MAX - 1] + "…"
    shown = f"{result.play}: {words.interval(found)} points, {words.headline(result)}"
    return (
        f'<g class="{kind}"><title>{escape(shown)}</title>'
        f'<line x1="{scale.x(found.low):.1f}" y1="{y:g}" x2="{scale.x(found.high):.1f}" y2="{y:g}"/>'
        f'<circle cx="{scale.x(found.estimate):.1f}" cy="{y:g}" r="4.5"/></g>'
        f'<text x="0" y="{y + 4:g}">{escape(name)}</text>'
    )
