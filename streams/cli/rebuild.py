"""`pegel rebuild`: the engagement state anew, from the log."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.doctor import offsets_progress
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for

if TYPE_CHECKING:
    from streams.rebuild.run import Switched

app = typer.Typer()


@app.command()
def rebuild(
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Leave out what arrived before: traits, totals and stages of before are then unknown. Default: "
            "everything that the log has.",
            show_default=False,
        ),
    ] = None,
    at_end: Annotated[
        bool,
        typer.Option("--at-end", help="The log was put in place of another (pegel restore): count all of it as read."),
    ] = False,
    partition: Annotated[
        list[int] | None,
        typer.Option(
            "--partition", min=0, metavar="N", help="Only this partition; may be repeated.", show_default=False
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for the workers to be stopped.")
    ] = 60.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Recompute and say what would change; the workers may go on.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the engagement state from account.events.v1 and put it in place of the present one.

    The workers may go on until everything is recomputed; then stop them, and start them again when this is done.
    What was told stays told: sequences go on where they were, and where the rebuilt state says otherwise, the
    correction is written as transitions with the trigger "rebuild", of which nobody is notified.
    """
    from streams.rebuild.log import LogReader  # noqa: PLC0415
    from streams.rebuild.run import Order, Rebuild  # noqa: PLC0415

    from_ms = None if start is None else _moment(start)
    settings = settings_for(config, bootstrap)
    if not dry_run and not yes and not typer.confirm(f"Rebuild the state at {settings.kafka.bootstrap}?", err=True):
        raise typer.Exit(1)
    order = Order(from_ms, at_end, tuple(partition or ()), dry_run, wait)
    with (
        offsets_progress("recomputing") as (on_total, on_read),
        LogReader(settings.kafka, on_read) as reader,
    ):
        done = Rebuild(settings, reader, on_total, say).run(order)
    for one in done:
        sys.stdout.write((json.dumps(_row(one)) if as_json else _line(one)) + "\n")
    verdict = "nothing was written" if dry_run else "start the engagement workers again"
    say(f"{len(done)} partitions at {settings.kafka.bootstrap} recomputed; {verdict}")


def _moment(text: str) -> int:
    from schemas.timestamps import parse_ms  # noqa: PLC0415

    found = parse_ms(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-03-01T00:00:00Z", param_hint="--from")
    return found


def _row(one: "Switched") -> dict[str, object]:
    return {
        "partition": one.partition,
        "position": one.position,
        "accounts": dict(sorted(one.accounts.items())),
        "rows": one.rows,
        "transitions": one.transitions,
    }


def _line(one: "Switched") -> str:
    accounts = ", ".join(f"{count} {what}" for what, count in sorted(one.accounts.items())) or "no account"
    return f"partition {one.partition} at {one.position}: {accounts}; {one.rows} rows and {one.transitions} transitions"
