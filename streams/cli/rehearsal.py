"""`pegel playbook simulate`: what a playbook would have sent."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.options import ConfigOption, JsonOption, say, settings_for
from streams.cli.progress import PROGRESS_EVERY_LINES, reading
from streams.cli.simulation import program_of_catalog, reader_of, resolver, time_of
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.notify.plan.destination import DestinationPlan
    from streams.replay.lines import LineReader
    from streams.settings import Settings
    from streams.simulate.rehearsal import Sight, Window

DEFAULT_CATALOG: Final = "default"


def simulate(
    playbook: Annotated[
        str, typer.Argument(metavar="PLAYBOOK", help="A file, a folder of files, or a built-in's name.")
    ],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Events or transitions: NDJSON or dumps, plain or gzip.")
    ],
    catalog: Annotated[
        str, typer.Option("--catalog", metavar="NAME|FILE", help="What decides over events; transitions need none.")
    ] = DEFAULT_CATALOG,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Report from here on (RFC 3339).", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Report to here; else to the newest record.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say how many messages a playbook would have sent where, by day, and what it would have held back and why.

    The notifier's own plan runs in simulated time: every transition is told the moment it became effective, and every
    message is delivered. The first line of a destination counts messages alone and at once, without cooldowns, groups,
    quiet hours and budgets. Holdouts are drawn as in earnest. Traits of accounts are not known here: quiet hours go by
    the destination's zone.
    """
    from streams.simulate.rehearsal import rehearse  # noqa: PLC0415 - slow to import, and `--help` needs none
    from streams.simulate.rehearsal_table import rehearsal_rows, rehearsal_table  # noqa: PLC0415

    settings = settings_for(config)
    since_ms, until_ms = time_of(since, "--since"), time_of(until, "--until")
    plans = _plans(playbook, settings.notify.max_age_h)
    sights = _sights(reader_of(files), catalog, settings, until_ms)
    if not sights:
        raise SettingsError("the files hold no transition, and no event that leads to one")
    found = rehearse(plans, sights, _window(sights, since_ms, until_ms))
    if not as_json:
        sys.stdout.write(rehearsal_table(found))
        return
    for row in rehearsal_rows(found):
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


def _plans(reference: str, max_age_h: float | None) -> "list[DestinationPlan]":
    from streams.notify.playbooks import load_playbooks  # noqa: PLC0415 - as above

    found = load_playbooks(reference, None)
    return [found.plan(destination, max_age_h) for destination in found.destinations]


def _window(sights: "Sequence[Sight]", since_ms: int | None, until_ms: int | None) -> "Window":
    from streams.simulate.rehearsal import Window  # noqa: PLC0415 - as above

    first, last = sights[0].news.effective_at_ms, sights[-1].news.effective_at_ms
    window = Window(first if since_ms is None else since_ms, last if until_ms is None else until_ms)
    if window.since_ms >= window.until_ms:
        raise SettingsError("the time from --since to --until is empty; name others")
    return window


def _sights(reader: "LineReader", catalog: str, settings: "Settings", until_ms: int | None) -> "list[Sight]":
    """What the files say: transitions as they are, events as the catalog decides over them."""
    from schemas.dead_letter import Rejected  # noqa: PLC0415 - as above
    from streams.replay.run import Replay  # noqa: PLC0415
    from streams.report.records import value_of  # noqa: PLC0415
    from streams.simulate.sights import in_order, is_transition, sight_of, sights_of  # noqa: PLC0415

    run = Replay(program_of_catalog(catalog), resolver(settings.intake), until_ms)
    found: list[Sight] = []
    refused = 0
    with reading(reader, "simulate") as advance:
        for count, line in enumerate(reader):
            if count % PROGRESS_EVERY_LINES == 0:
                advance()
            try:
                value = value_of(line.raw)
                if value is not None and is_transition(value):
                    found.append(sight_of(value, count))
                else:
                    run.feed(line)
            except Rejected:
                refused += 1
    if refused:
        say(f"{refused} lines could not be used")
    return in_order([*found, *sights_of(run.finish())])
