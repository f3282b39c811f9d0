"""`pegel playbook results`: whether plays work."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.cli.simulation import time_of
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.report.judgement import Question
    from streams.report.results import Plan, Report, Span
    from streams.settings import Settings

PERCENT: Final = 100


def results(
    plays: Annotated[list[str] | None, typer.Argument(metavar="[PLAY...]", help="Plays with a goal; else all.")] = None,
    playbooks: Annotated[
        str | None,
        typer.Option(
            "--playbooks",
            metavar="NAME|FILE",
            help="Where the plays' goals stand; else as the settings say (notify.playbooks).",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Read actions and transitions from here (NDJSON or dumps, plain or gzip) and not from Kafka; may be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Leave out exposures before this (RFC 3339).", show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="As it was known then; else now, of files their newest record.", show_default=False
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(min=50, max=99.9, help="Of the intervals, in percent.")] = 95,
    effect: Annotated[
        float,
        typer.Option(min=0.01, max=100, help="The difference worth knowing of, in points: how many accounts it takes."),
    ] = 5,
    as_json: JsonOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with a picture, too.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Compare accounts that a play told of with those that it held out: who reached the play's goal?

    Exposures come from playbook.actions.v1, goals from segments.transitions.v1. Each account counts once, from its
    first exposure on, when its time is over. The difference has a confidence interval; where accounts are too few to
    tell, that is said, with the number that it would take.
    """
    from streams.report.judgement import Question  # noqa: PLC0415 - slow to import, and `--help` needs none
    from streams.report.page import page  # noqa: PLC0415
    from streams.report.results import Span  # noqa: PLC0415
    from streams.report.text import rows, text  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    plans = _plans(playbooks or settings.notify.playbooks, plays or [])
    until_ms = time_of(until, "--until")
    if until_ms is None and not file:
        until_ms = time.time_ns() // 1_000_000
    span = Span(time_of(since, "--since"), until_ms)
    report = _report(settings, file, plans, span, Question(confidence / PERCENT, effect / PERCENT))
    if as_json:
        for row in rows(report):
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(text(report))
    if html is not None:
        _write(html, page(report))
    if report.unreadable:
        say(f"{report.unreadable} records were neither actions nor transitions")


def _plans(reference: str | Path | None, wanted: list[str]) -> "list[Plan]":
    from streams.notify.playbooks import load_playbooks  # noqa: PLC0415 - as above
    from streams.report.plans import plans_of  # noqa: PLC0415

    if reference is None:
        raise SettingsError("no playbook is named; give --playbooks, or set notify.playbooks")
    found = list(plans_of(load_playbooks(str(reference), None).playbook, wanted))
    missing = sorted(set(wanted) - {plan.play for plan in found})
    if missing:
        raise SettingsError(f"{reference} has no play {missing[0]!r} with a goal; give it one, or name another play")
    return found


def _report(
    settings: "Settings", files: list[str] | None, plans: "list[Plan]", span: "Span", question: "Question"
) -> "Report":
    from streams.report.results import results as results_of  # noqa: PLC0415 - as above
    from streams.report.sources import from_files, from_topic  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    if files:
        both = from_files(files)
        return results_of(both, both, plans, span, question)
    topics = Topics(settings.kafka.topic_prefix)
    actions, transitions = (from_topic(settings.kafka, name) for name in (topics.actions, topics.transitions))
    return results_of(actions, transitions, plans, span, question)


def _write(file: Path, page: str) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}; name another file") from None
    say(f"wrote {file}")
