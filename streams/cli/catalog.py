"""`pegel catalog`: rules before they are in use."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import catalog_log
from streams.cli.catalog_log import apply, history
from streams.cli.options import ConfigOption, JsonOption, say
from streams.cli.simulation import simulation, time_of
from streams.errors import InvalidSchemaError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.catalogs.document import Document
    from streams.catalogs.problems import Problem
    from streams.engine.program import Program
    from streams.notify.plan.destination import DestinationPlan

app = typer.Typer(no_args_is_help=True)

CatalogArgument = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A built-in's name or a YAML file.")]


@app.callback()
def catalog() -> None:
    """Check catalogs, show them, compare them, try them on events of the past, and put them to use."""


app.command()(catalog_log.apply)
app.command()(catalog_log.history)


@app.command()
def check(
    references: Annotated[
        list[str], typer.Argument(metavar="NAME|FILE...", help="Built-ins' names or YAML files.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with catalogs, each with file, line and column; exit with 4 if anything is.

    Warnings are of what certainly has no effect; they do not fail.
    """
    from streams.catalogs.problems import InvalidCatalogError  # noqa: PLC0415 - slow to import, and `--help` needs none

    failed = 0
    for reference in references:
        try:
            program, warnings = _checked(reference)
        except InvalidCatalogError as error:
            failed += 1
            _tell(error.problems, as_json=as_json)
            continue
        _tell(warnings, as_json=as_json)
        if not as_json:
            what = f"{len(program.segments)} segments, version {program.version}"
            sys.stdout.write(f"{reference}: good ({what}{f', {len(warnings)} warnings' if warnings else ''})\n")
    if failed:
        raise InvalidSchemaError(f"{failed} of {len(references)} catalogs cannot be used")


@app.command()
def show(
    reference: CatalogArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Write the complete catalog as YAML that extends nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a catalog with all that it extends merged in."""
    from streams.catalogs.describe import as_plain, described, resolved_yaml  # noqa: PLC0415 - as above

    document, program = _usable(reference)
    if as_json:
        _write_json(version=program.version, chain=list(document.chain), **as_plain(program.catalog))
    else:
        catalog = program.catalog
        sys.stdout.write(resolved_yaml(catalog) if resolved else described(catalog, document.chain))


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A built-in's name or a YAML file.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Likewise.")],
    as_json: JsonOption = False,
) -> None:
    """Say what is different between two catalogs, each with all that it extends; exit with 1 if anything is."""
    from streams.catalogs.compare import differences  # noqa: PLC0415 - as above

    found = differences(_usable(old)[1].catalog, _usable(new)[1].catalog)
    for difference in found:
        if as_json:
            _write_json(
                section=difference.section, name=difference.name, field=difference.field,
                change=difference.change.value, old=difference.old, new=difference.new,
            )  # fmt: skip
        else:
            sys.stdout.write(f"{difference}\n")
    raise typer.Exit(1 if found else 0)


@app.command()
def simulate(
    new: Annotated[str, typer.Argument(metavar="NEW", help="A built-in's name or a YAML file.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is standard input.")],
    against: Annotated[str, typer.Option(metavar="NAME|FILE", help="The catalog that NEW would replace.")] = "default",
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Rates are from then on (RFC 3339); without it, from the first arrival."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Sizes are as of then; without it, as of the last arrival.")
    ] = None,
    playbook: Annotated[
        str | None, typer.Option(metavar="FILE", help="Count the messages that this playbook would make.")
    ] = None,
    list_accounts: Annotated[bool, typer.Option("--list", help="Name the accounts that enter and leave.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=2, help="2: a process for each catalog.")] = 1,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Replay events under two catalogs, and say what would be different if NEW replaced the other.

    Of each segment: its size, who enters and leaves, how often it changes, and whether accounts flap.
    """
    from streams.simulate.comparison import compared  # noqa: PLC0415 - as above
    from streams.simulate.course import Span  # noqa: PLC0415
    from streams.simulate.table import comings_and_goings, rows, table  # noqa: PLC0415

    since_ms, until_ms = time_of(since, "--since"), time_of(until, "--until")
    plans = _plans(playbook, [segment.id for segment in _usable(new)[1].segments]) if playbook is not None else ()
    ran = simulation((against, new), files, until_ms, config, jobs)
    if ran.rejected:
        say(f"{ran.rejected} lines cannot be used; `pegel replay` says why")
    if ran.first_ms is None or ran.last_ms is None:
        raise SettingsError("no line could be used: name files of events")
    if since_ms is not None and since_ms >= ran.last_ms:
        raise SettingsError("--since is not before the end of the events: name an earlier time")
    old_course, new_course = ran.courses
    span = Span(ran.first_ms if since_ms is None else since_ms, ran.last_ms)
    found = compared(old_course, new_course, span, plans)
    if as_json:
        for row in rows(found, with_accounts=list_accounts):
            _write_json(**row)
        return
    sys.stdout.write(table(found))
    for segment, change, account_id in comings_and_goings(found) if list_accounts else ():
        sys.stdout.write(f"{account_id} {change} {segment}\n")


def _plans(playbook: str, segments: list[str]) -> "Sequence[DestinationPlan]":
    """The plans of its destinations, whose secrets are not needed to count."""
    from schemas.playbook import ANY  # noqa: PLC0415 - as above
    from streams.notify.playbooks import load_playbooks  # noqa: PLC0415

    found = load_playbooks(playbook, None)
    for play in found.plays:
        named = play.segments if play.roster is None else (play.roster.segment,)
        missing = [segment for segment in named if segment != ANY and segment not in segments]
        if missing:
            say(f"warning: play {play.id} waits for {', '.join(missing)}, which NEW does not have")
    return [found.plan(destination, None) for destination in found.destinations]


@app.command()
def init(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - is standard output.")] = "catalog.yaml",
) -> None:
    """Write a commented catalog to start from. A file that is there is never overwritten."""
    from importlib.resources import files  # noqa: PLC0415 - as above

    text = (files("streams.catalogs") / "starter.yaml").read_text(encoding="utf-8")
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        with Path(file).open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise SettingsError(f"{file} is there already: name another file") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}; name another file") from None
    say(f"wrote {file}; next: pegel catalog check {file}")


def _checked(reference: str) -> "tuple[Program, list[Problem]]":
    from streams.catalogs.warnings import warnings  # noqa: PLC0415 - as above

    document, program = _read(reference)
    return program, warnings(document, program)


def _read(reference: str) -> "tuple[Document, Program]":
    from streams.catalogs.document import read_document  # noqa: PLC0415 - as above
    from streams.catalogs.load import program_of  # noqa: PLC0415

    document = read_document(reference)
    return document, program_of(document)


def _usable(reference: str) -> "tuple[Document, Program]":
    from streams.catalogs import InvalidCatalogError  # noqa: PLC0415 - as above

    try:
        return _read(reference)
    except InvalidCatalogError as error:
        raise InvalidSchemaError(str(error)) from None


def _tell(problems: "tuple[Problem, ...] | list[Problem]", *, as_json: bool) -> None:
    from streams.catalogs.problems import PROBLEMS_SHOWN_MAX  # noqa: PLC0415 - as above

    for problem in problems[:PROBLEMS_SHOWN_MAX]:
        if as_json:
            _write_json(
                file=problem.file, line=problem.line, column=problem.column, severity=problem.severity.value,
                entry=problem.entry, message=problem.message,
            )  # fmt: skip
            continue
        sys.stdout.write(f"{problem.severity.value}: {problem}\n")
        if problem.excerpt and problem.column is not None:
            sys.stdout.write(f"    {problem.excerpt}\n    {' ' * (problem.column - 1)}^\n")
    if len(problems) > PROBLEMS_SHOWN_MAX:
        say(f"and {len(problems) - PROBLEMS_SHOWN_MAX} more")


def _write_json(**row: Any) -> None:
    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


app.command()(apply)
app.command()(history)
