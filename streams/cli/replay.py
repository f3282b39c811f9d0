"""`pegel replay`: the engine without Kafka, over files or a dump of a topic."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.bad_lines import BadLines
from streams.cli.options import ConfigOption, say, settings_for
from streams.cli.progress import shown
from streams.cli.simulation import program_of_catalog, time_of
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.replay.lines import LineReader
    from streams.replay.peers import Peers, Takes
    from streams.replay.run import Replay
    from streams.replay.spool import Entry
    from streams.replay.take import Taken
    from streams.settings import IntakeSettings

app = typer.Typer()

JOBS_MAX: Final = 64
WRITTEN_TOGETHER: Final = 256
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
    jobs: Annotated[
        int,
        typer.Option(
            min=1, max=JOBS_MAX, metavar="N", help="Share the accounts out to N processes; the output is the same."
        ),
    ] = 1,
    config: ConfigOption = None,
) -> None:
    """Decide segments over files of events, and write the transitions as NDJSON to standard output.

    Lines are events as producers send them, or records dumped by `pegel dump` or `kcat -J`. Standard error gets what
    became of them.
    """
    from streams.runtime.memory import loading  # noqa: PLC0415 - as all imports here: `--help` needs none of it

    with loading():
        from streams.replay.lines import LineReader  # noqa: PLC0415

        made = _Made(settings_for(config).intake, catalog, time_of(until, "--until"))
    try:
        reader = LineReader(files)
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}; name a file that can be read") from None
    if jobs > 1 and not all(Path(name).is_file() for name in files):
        raise SettingsError(f"--jobs {jobs} reads the files {jobs} times: name files, or use --jobs 1")
    with TemporaryDirectory(prefix="pegel-replay-") as folder:
        if jobs == 1:
            taken, entries = _alone(made, reader, Path(folder), strict=strict)
        else:
            taken, entries = _shared(made, reader, files, Path(folder), strict=strict, jobs=jobs)
        told = _write(entries)
    _summarise(taken, told)
    if taken.stopped:
        raise typer.Exit(1)


class _Made:
    """Makes replays by the options."""

    def __init__(self, intake: "IntakeSettings", catalog: str | None, until_ms: int | None) -> None:
        self._intake = intake
        self._program = program_of_catalog(catalog or DEFAULT_CATALOG)
        self._follow_catalog = catalog is None
        self._until_ms = until_ms

    def __call__(self, takes: "Takes | None" = None, peers: "Peers | None" = None) -> "Replay":
        from streams.intake.identity_settings import identity_of  # noqa: PLC0415
        from streams.replay.run import Replay  # noqa: PLC0415

        resolve = identity_of(self._intake).take
        return Replay(
            self._program, resolve, self._until_ms, follow_catalog=self._follow_catalog, takes=takes, peers=peers
        )


def _alone(made: _Made, reader: "LineReader", folder: Path, *, strict: bool) -> "tuple[Taken, Iterable[Entry]]":
    from streams.runtime.memory import loading  # noqa: PLC0415

    with loading():
        from streams.replay.spool import Spool  # noqa: PLC0415
        from streams.replay.take import take_files  # noqa: PLC0415

        spool, run = Spool(folder), made()
    with shown(reader.bytes_total, "replay") as read_to:
        taken = take_files(run, reader, spool, _Watch(read_to), strict=strict)
    return taken, spool.entries()


def _shared(
    made: _Made, reader: "LineReader", files: Sequence[str], folder: Path, *, strict: bool, jobs: int
) -> "tuple[Taken, Iterable[Entry]]":
    from streams.replay.jobs import attend, started  # noqa: PLC0415
    from streams.replay.spool import merged  # noqa: PLC0415

    with started(jobs, made, files, folder, strict=strict) as workers, shown(reader.bytes_total, "replay") as read_to:
        taken, runs = attend(workers, _Watch(read_to))
    return taken, merged(runs)


class _Watch(BadLines):
    """Shows how far it is, and says which lines cannot be used."""

    def __init__(self, read_to: Callable[[int], None]) -> None:
        super().__init__()
        self.read_to = read_to


def _write(entries: "Iterable[Entry]") -> "Counter[tuple[str, str]]":
    """Write what was found; how often which segment went which way, in the order of the first time."""
    told: Counter[tuple[str, str]] = Counter()
    out = sys.stdout.buffer
    rest = iter(entries)
    while chunk := [*islice(rest, WRITTEN_TOGETHER)]:
        told.update([(entry[3], entry[4]) for entry in chunk])
        out.write(b"\n".join([entry[5] for entry in chunk]) + b"\n")
    out.flush()
    return told


def _summarise(taken: "Taken", told: "Counter[tuple[str, str]]") -> None:
    summary = taken.summary
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(summary.outcomes.items())) or "no events"
    say(f"{outcomes}; {taken.accounts} accounts; {told.total()} transitions")
    for what, counted in (("control records", summary.controls), ("rejected", summary.rejected)):
        if counted:
            each = ", ".join(f"{name} {count}" for name, count in counted.most_common())
            say(f"{what}: {counted.total()} ({each})")
    if summary.after_until:
        say(f"after --until: {summary.after_until}")
    width = max((len(segment) for segment, _ in told), default=0)
    for segment in dict.fromkeys(segment for segment, _ in told):
        ways = "  ".join(
            f"{direction} {told[segment, direction]}"
            for direction in ("entered", "moved", "exited")
            if told[segment, direction]
        )
        say(f"  {segment:<{width}}  {ways}")
