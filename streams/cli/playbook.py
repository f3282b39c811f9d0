"""`pegel playbook`: playbooks before they are in use."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.options import say
from streams.cli.preview import preview
from streams.cli.rehearsal import simulate
from streams.cli.results import results
from streams.errors import InvalidSchemaError

if TYPE_CHECKING:
    from schemas.playbook import Play

app = typer.Typer(no_args_is_help=True)

KEY_NUMBERS: Final = ("activation_rate", "mrr", "nps", "usage_ratio")
"""What a membership says of every account, beside the catalog's definitions."""


@app.callback()
def playbook() -> None:
    """Check playbooks, try them out, and see whether they work."""


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file, a folder of files, or a built-in's name.")],
    catalog: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Check the segments' names against this catalog.", show_default=False),
    ] = None,
    environment: Annotated[
        bool,
        typer.Option(
            "--environment/--without-environment",
            help="Require every ${VARIABLE} to be set, or make values up: to check where the secrets are not.",
        ),
    ] = True,
) -> None:
    """Say what is wrong with a playbook, with the line of each fault; exit with 4 if anything is."""
    from streams.notify.playbooks import load_playbooks  # noqa: PLC0415 - slow to import, and `--help` needs none

    segments, numbers = (None, None) if catalog is None else _names(catalog)
    found = load_playbooks(file, os.environ if environment else None, segments, numbers)
    for warning in found.warnings:
        say(f"warning: {warning}")
    for play in found.plays:
        state = "" if play.enabled else " (disabled)"
        kind = found.destinations[play.destination].type
        templates = ", ".join(dict.fromkeys(play.templates))
        sys.stdout.write(
            f"{play.id}{state}: {_when(play)} -> {play.destination} ({kind}), in the words of {templates}\n"
        )


def _when(play: "Play") -> str:
    """What starts it: `entered at_risk`, `14 days in at_risk`, `list of expiring_trial at 0 8 * * mon-fri`."""
    if play.roster is not None:
        return f"list of {play.roster.segment} at {play.cron}"
    what = f"{'|'.join(play.directions)} {'|'.join(play.segments)}"
    if play.dwell_days is not None:
        return f"{play.dwell_days:g} days in {'|'.join(play.segments)}"
    return what if play.cron is None else f"{what}, told at {play.cron}"


def _names(catalog: str) -> tuple[list[str], list[str]]:
    """The segments, and the numbers that lists may be sorted by."""
    from streams.catalogs import load_catalog  # noqa: PLC0415 - as above
    from streams.engine.rules.errors import CatalogError  # noqa: PLC0415

    try:
        found = load_catalog(catalog)
    except CatalogError as error:
        raise InvalidSchemaError(str(error)) from None
    return [segment.id for segment in found.segments], [*KEY_NUMBERS, *found.definitions]


app.command()(preview)
app.command()(simulate)
app.command()(results)
