"""`pegel replay`: the engine without Kafka, over files or a dump of a topic."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.options import ConfigOption, say, settings_for
from streams.cli.progress import PROGRESS_EVERY_LINES, reading
from streams.errors import InvalidSchemaError, SettingsError

if TYPE_CHECKING:
    from streams.engine.found import Transition
    from streams.engine.program import Program
    from streams.replay.lines import LineReader
    from streams.replay.run import Replay

app = typer.Typer()

REPORTED_LINES_MAX: Final = 100
DEFAULT_CATALOG: Final = "default"


@app.command()
def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is standard input.")],
    catalog: Annotated[
        str | None,
        typer.Option(
            "--catalog",
            metavar="NAME|FILE",
            help="Rules: a built-in's name or a YAML file. Without it, those a dumped log names, else default.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The state as of then (RFC 3339): later arrivals are left out."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first line that cannot be used.")] = False,
    config: ConfigOption = None,
) -> None:
    """Decide segments over files of events, and write the transitions as NDJSON to standard output.

    Lines are events as producers send them, or records dumped by `pegel dump` or `kcat -J`. Standard error gets what
    became of them.
    """
    from schemas.transition import encode_transition  # noqa: PLC0415
    from streams.engine.outgoing import wire_transition  # noqa: PLC0415
    from streams.intake.agent import identity_of  # noqa: PLC0415
    from streams.replay.lines import LineReader  # noqa: PLC0415
    from streams.replay.run import Replay  # noqa: PLC0415

    identity = identity_of(settings_for(config).intake)
    run = Replay(_program(catalog or DEFAULT_CATALOG), identity.take, _until(until), follow_catalog=catalog is None)
    try:
        reader = LineReader(files)
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}; name a file that can be read") from None
    stopped = not _feed(run, reader, strict=strict)
    transitions = run.finish()
    for transition in transitions:
        sys.stdout.buffer.write(encode_transition(wire_transition(transition, None)) + b"\n")
    sys.stdout.buffer.flush()
    _summarise(run, transitions)
    if stopped:
        raise typer.Exit(1)


def _program(reference: str) -> "Program":
    from streams.catalogs import load_catalog  # noqa: PLC0415
    from streams.engine.program import compile_catalog  # noqa: PLC0415
    from streams.engine.rules.errors import CatalogError  # noqa: PLC0415

    try:
        return compile_catalog(load_catalog(reference), reference)
    except CatalogError as error:
        raise InvalidSchemaError(str(error)) from None


def _until(text: str | None) -> int | None:
    from schemas.timestamps import parse_ms  # noqa: PLC0415

    if text is None:
        return None
    until = parse_ms(text)
    if until is None:
        raise SettingsError(f"--until: {text!r} is no RFC 3339 time; write it like 2026-03-01T00:00:00Z")
    return until


def _feed(run: "Replay", reader: "LineReader", *, strict: bool) -> bool:
    """Feed all lines; False if a line stopped the run."""
    from schemas.dead_letter import Rejected  # noqa: PLC0415

    bad = 0
    with reading(reader, "replay") as advance:
        for count, line in enumerate(reader):
            if count % PROGRESS_EVERY_LINES == 0:
                advance()
            try:
                run.feed(line)
            except Rejected as rejected:
                bad += 1
                if bad <= REPORTED_LINES_MAX:
                    say(f"{line.place}: {rejected}")
                elif bad == REPORTED_LINES_MAX + 1:
                    say("further lines like these are counted, not shown")
                if strict:
                    return False
    return True


def _summarise(run: "Replay", transitions: "list[Transition]") -> None:
    summary = run.summary
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(summary.outcomes.items())) or "no events"
    say(f"{outcomes}; {run.accounts} accounts; {len(transitions)} transitions")
    for what, counted in (("control records", summary.controls), ("rejected", summary.rejected)):
        if counted:
            shown = ", ".join(f"{name} {count}" for name, count in counted.most_common())
            say(f"{what}: {counted.total()} ({shown})")
    if summary.after_until:
        say(f"after --until: {summary.after_until}")
    by_segment = Counter((transition.segment, transition.direction) for transition in transitions)
    width = max((len(segment) for segment, _ in by_segment), default=0)
    for segment in dict.fromkeys(segment for segment, _ in by_segment):
        shown = "  ".join(
            f"{direction} {by_segment[segment, direction]}"
            for direction in ("entered", "moved", "exited")
            if by_segment[segment, direction]
        )
        say(f"  {segment:<{width}}  {shown}")
