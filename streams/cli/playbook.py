"""`pegel playbook`: playbooks before they are in use."""

import os
import sys
from typing import Annotated

import typer

from streams.cli.options import say
from streams.cli.rehearsal import simulate
from streams.cli.results import results
from streams.errors import InvalidSchemaError

app = typer.Typer(no_args_is_help=True)


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

    segments = None if catalog is None else _segments(catalog)
    found = load_playbooks(file, os.environ if environment else None, segments)
    for warning in found.warnings:
        say(f"warning: {warning}")
    for play in found.plays:
        state = "" if play.enabled else " (disabled)"
        what = f"{'|'.join(play.directions)} {'|'.join(play.segments)}"
        kind = found.destinations[play.destination].type
        sys.stdout.write(f"{play.id}{state}: {what} -> {play.destination} ({kind}), in the words of {play.template}\n")


def _segments(catalog: str) -> list[str]:
    from streams.catalogs import load_catalog  # noqa: PLC0415 - as above
    from streams.engine.rules.errors import CatalogError  # noqa: PLC0415

    try:
        return [segment.id for segment in load_catalog(catalog).segments]
    except CatalogError as error:
        raise InvalidSchemaError(str(error)) from None


app.command()(simulate)
app.command()(results)
