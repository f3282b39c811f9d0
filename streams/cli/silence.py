"""`pegel silence`: what people shall not be told for a while."""

import getpass
import json
import sys
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.deliveries import NoteOption, ledger_of
from streams.cli.moments import future, now_ms
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.errors import ExpectedError, SettingsError

if TYPE_CHECKING:
    from streams.deliveries.ledger import Ledger

app = typer.Typer(no_args_is_help=True)


@app.callback()
def silence() -> None:
    """Keep what is happening from being told for a while: it is recorded as silenced, and not told later."""


@app.command()
def add(
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="Till then: RFC 3339, or 30m, 2h, 3d from now.")
    ],
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="Only about this account.", show_default=False)
    ] = None,
    segment: Annotated[
        str | None, typer.Option("--segment", metavar="ID", help="Only about this segment.", show_default=False)
    ] = None,
    play: Annotated[
        str | None, typer.Option("--play", metavar="ID", help="Only by this play.", show_default=False)
    ] = None,
    destination: Annotated[
        str | None, typer.Option("--destination", metavar="ID", help="Only at this destination.", show_default=False)
    ] = None,
    note: NoteOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Silence what matches all that is named."""
    from schemas.inbox import Command, CommandKind, SilenceOrder  # noqa: PLC0415 - as elsewhere, slow to import
    from streams.control_log import command  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    until_ms = future(until, "--until")
    assert until_ms is not None
    if until_ms <= now_ms():
        raise SettingsError(f"--until {until} is over already")
    name = uuid.uuid4().hex[:8]
    order = SilenceOrder(name, until_ms, account, segment, play)
    what = Command(at_ms=now_ms(), by=getpass.getuser(), note=note, silence=order)
    command(settings, CommandKind.SILENCE, what, destination)
    sys.stdout.write(name + "\n")
    say(f"silenced as the courier reads on; end it sooner: pegel silence expire {name}")


@app.command("list")
def list_silences(
    every: Annotated[bool, typer.Option("--all", help="Those too that are over, as long as they are known.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """List silences, the one that ends first first."""
    ledger = ledger_of(settings_for(config, bootstrap))
    rows = [row for name in ledger.silences if (row := _row(ledger, name))["active"] or every]
    for row in sorted(rows, key=lambda row: str(row["until"])):
        if as_json:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            continue
        what = [f"{kind} {row[kind]}" for kind in ("account", "segment", "play") if row[kind]] or ["everything"]
        why = f"  # {row['by']}: {row['note']}" if row["note"] else f"  # {row['by']}"
        where = ", ".join(row["destinations"])
        state = "" if row["active"] else " (over)"
        sys.stdout.write(f"{row['silence']}  until {row['until']}{state}  {', '.join(what)}  at {where}{why}\n")
    say(f"{len(rows)} silences")


@app.command()
def expire(
    name: Annotated[str, typer.Argument(metavar="SILENCE", help="Its id, as 'pegel silence list' writes it.")],
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """End a silence now."""
    from schemas.inbox import Command, CommandKind, SilenceOrder  # noqa: PLC0415
    from streams.control_log import command  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    if name not in ledger_of(settings).silences:
        raise ExpectedError(f"there is no silence {name}; 'pegel silence list --all' names them")
    what = Command(at_ms=now_ms(), by=getpass.getuser(), silence=SilenceOrder(name, 0))
    command(settings, CommandKind.UNSILENCE, what, None)
    say(f"{name} ends as the courier reads on")


def _row(ledger: "Ledger", name: str) -> dict[str, Any]:
    from schemas.timestamps import format_ms  # noqa: PLC0415

    found = ledger.silences[name]
    order = next(iter(found.values()))
    by, note = ledger.notes[name]
    return {
        "silence": name,
        "until": format_ms(order.until_ms),
        "active": order.until_ms > now_ms(),
        "account": order.account,
        "segment": order.segment,
        "play": order.play,
        "destinations": sorted(found),
        "by": by,
        "note": note,
    }
