"""`pegel doctor`: is everything as it must be, and what is to be done?"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for

SAMPLE: Final = 20
REDRAWN_EVERY_OFFSETS: Final = 2_000

app = typer.Typer()


@app.command()
def doctor(
    sample: Annotated[
        int, typer.Option("--sample", min=1, max=100_000, metavar="N", help="Recompute so many accounts from the log.")
    ] = SAMPLE,
    accounts: Annotated[
        str | None,
        typer.Option("--accounts", metavar="A,B", help="Recompute these accounts and no others.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed takes another sample.")] = 0,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Examine brokers, topics, groups and state, and say what to do. Changes nothing; may run at any time.

    State is held against the log: accounts are recomputed from account.events.v1 and compared with the changelog and
    the membership records. Exits with 0 if all is well, 1 if there is a warning or a failure, 3 if no broker answers.
    """
    from streams.doctor import report  # noqa: PLC0415
    from streams.doctor.checks import Level, levels  # noqa: PLC0415
    from streams.doctor.examine import examine  # noqa: PLC0415
    from streams.doctor.sample import Sample  # noqa: PLC0415

    named = frozenset(one for one in (accounts or "").split(",") if one)
    if accounts is not None and not named:
        raise typer.BadParameter("names no account", param_hint="--accounts")
    settings = settings_for(config, bootstrap)
    with offsets_progress("examining the log") as (on_total, on_read):
        checked = examine(settings, Sample(sample, seed, named), on_total, on_read)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000
    for line in report.as_json(checked) if as_json else report.as_table(checked, width):
        sys.stdout.write(line + "\n")
    say(f"{settings.kafka.bootstrap}: {report.summary(checked)}")
    raise typer.Exit(0 if levels(checked)[Level.OK] == len(checked) else 1)


@contextmanager
def offsets_progress(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """A bar over the offsets to be read, if standard error is a terminal; the total grows as it becomes known."""
    if not sys.stderr.isatty():
        yield lambda _more: None, lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=0)
        total = done = drawn = 0

        def on_total(more: int) -> None:
            nonlocal total
            total += more
            progress.update(task, total=total)

        def on_read(count: int) -> None:
            nonlocal done, drawn
            done += count
            if done - drawn >= REDRAWN_EVERY_OFFSETS or done >= total:
                drawn = done
                progress.update(task, completed=min(done, total))

        yield on_total, on_read
