"""`pegel size`: what a load needs."""

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import JsonOption

if TYPE_CHECKING:
    from streams.sizing import Size

app = typer.Typer()

GB = 1e9


@app.command()
def size(
    events: Annotated[float, typer.Option(min=0, metavar="N", help="Events a second at the peak.")],
    accounts: Annotated[int, typer.Option(min=1, metavar="N", help="All accounts that there have ever been.")],
    active: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Accounts with events in the hour of the peak; all without."),
    ] = None,
    users: Annotated[int | None, typer.Option(min=1, metavar="N", help="Users; ten an account without.")] = None,
    event_bytes: Annotated[int, typer.Option(min=1, metavar="N", help="Bytes of an event.")] = 500,
    kept_days: Annotated[float, typer.Option(min=0.1, metavar="DAYS", help="How long events are kept.")] = 365,
    replication: Annotated[int, typer.Option(min=1, max=15, metavar="N", help="Copies of each partition.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Compute workers, partitions, memory, disk and network from figures that were measured; asks nobody.

    docs/sizing.md says how, and what the figures are of.
    """
    from streams.sizing import Load, size  # noqa: PLC0415 - slow to import, and `--help` needs none

    load = Load(
        events_per_s=events,
        accounts=accounts,
        active_accounts=min(accounts, active or accounts),
        users=users or 10 * accounts,
        event_bytes=event_bytes,
        kept_days=kept_days,
        replication=replication,
    )
    found = size(load)
    lines = [json.dumps(dataclasses.asdict(found))] if as_json else _lines(found)
    sys.stdout.write("\n".join(lines) + "\n")


def _lines(found: "Size") -> list[str]:
    rows = [
        ("engagement workers", f"{found.engagement_workers}", "one core each"),
        ("intake workers", f"{found.intake_workers}", "one core each"),
        ("partitions", f"{found.partitions}", "kafka.partitions, to grow fourfold in"),
        ("memory of an engagement worker", f"{found.engagement_memory_bytes / GB:.2g} GB", "with another one gone"),
        ("memory of an intake worker", f"{found.intake_memory_bytes / GB:.2g} GB", "with another one gone"),
        ("restart", f"{found.restart_s:.2g} s", "until its share of the state is loaded"),
        ("events on disk", f"{found.log_bytes / GB:,.0f} GB", "of all brokers, copies included"),
        ("state on disk", f"{found.changelog_bytes / GB:,.2f} GB", "of all brokers, copies included"),
        ("network of the brokers", f"{found.network_bytes_per_s / 1e6:,.0f} MB/s", "in and out, at the peak"),
        ("transactions", f"{found.transactions_per_s:,} per s", "at most"),
        ("read when all start at once", f"{found.start_all_bytes / GB:,.2f} GB", "from the changelog"),
    ]
    return [f"{name:<31} {value:>14}  {note}" for name, value, note in rows]
