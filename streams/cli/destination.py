"""`pegel destination`: where messages go. Stop one, let it go on, empty it, try it out."""

import getpass
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.deliveries import NoteOption, ledger_of
from streams.cli.moments import age, now_ms
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.errors import ExpectedError, SettingsError

if TYPE_CHECKING:
    from schemas.inbox import CommandKind
    from streams.connectors.outcome import Outcome
    from streams.connectors.preparing import Step
    from streams.notify.playbooks import Playbooks
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

STATES: Final = {"pause": "paused", "drain": "drained", "resume": "at work"}
DestinationArgument = Annotated[str, typer.Argument(metavar="DESTINATION", help="Its id in the playbook.")]


@app.callback()
def destination() -> None:
    """Stop destinations, let them go on, empty them, try them out."""


@app.command("list")
def list_destinations(
    as_json: JsonOption = False, config: ConfigOption = None, bootstrap: BootstrapOption = None
) -> None:
    """List destinations with what is open there, how old it is, and what operators said of them."""
    settings = settings_for(config, bootstrap)
    playbooks = _playbooks(settings, with_secrets=False)
    ledger = ledger_of(settings)
    known = {} if playbooks is None else {name: one.type for name, one in playbooks.destinations.items()}
    names = dict.fromkeys([*known, *(one.destination for one in ledger.open.values()), *ledger.operators])
    for name in names:
        open_here, said = ledger.of(name), ledger.operators.get(name)
        row: dict[str, Any] = {
            "destination": name,
            "type": known.get(name),
            "state": STATES[said.command] if said is not None else STATES["resume"],
            "by": said.by if said is not None else None,
            "note": said.note if said is not None else None,
            "open": len(open_here),
            "failing": sum(1 for one in open_here if one.attempts),
            "oldest_s": max((now_ms() - one.planned_at_ms for one in open_here), default=0) // 1_000,
        }
        sys.stdout.write((json.dumps(row, ensure_ascii=False) if as_json else _line(row)) + "\n")


@app.command()
def pause(
    name: DestinationArgument, note: NoteOption = "", config: ConfigOption = None, bootstrap: BootstrapOption = None
) -> None:
    """Send nothing there until 'resume'. What is to be told waits; its time (give_up_h) goes on."""
    from schemas.inbox import CommandKind  # noqa: PLC0415 - as elsewhere, `--help` needs none of it

    _tell(settings_for(config, bootstrap), CommandKind.PAUSE, name, note)
    say(f"{name} is paused as the courier reads on; let it go on: pegel destination resume {name}")


@app.command()
def resume(
    name: DestinationArgument, note: NoteOption = "", config: ConfigOption = None, bootstrap: BootstrapOption = None
) -> None:
    """Let a destination go on that was paused or drained."""
    from schemas.inbox import CommandKind  # noqa: PLC0415

    _tell(settings_for(config, bootstrap), CommandKind.RESUME, name, note)
    say(f"{name} goes on as the courier reads on")


@app.command()
def drain(
    name: DestinationArgument, note: NoteOption = "", config: ConfigOption = None, bootstrap: BootstrapOption = None
) -> None:
    """Send what is open there by now, and hold what comes later until 'resume'."""
    from schemas.inbox import CommandKind  # noqa: PLC0415

    _tell(settings_for(config, bootstrap), CommandKind.DRAIN, name, note)
    say(f"{name} is drained as the courier reads on; see how far it is: pegel destination list")


@app.command("test")
def send_test(
    name: DestinationArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Send one message that says it is a test, from here, past all queues. Exit with 1 if it is not taken."""
    import asyncio  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    playbooks = _playbooks(settings, with_secrets=True)
    if playbooks is None:
        raise SettingsError("no playbook is set; name one: notify.playbooks (PEGEL_NOTIFY__PLAYBOOKS)")
    _require(playbooks, name)
    outcome = asyncio.run(_sent(playbooks, name))
    row = {"destination": name, "outcome": outcome.kind.value, "detail": outcome.detail, "ref": outcome.ref}
    if as_json:
        sys.stdout.write(json.dumps(row) + "\n")
    else:
        sys.stdout.write(f"{name}: {outcome.kind}{f' ({outcome.detail})' if outcome.detail else ''}\n")
    if outcome.kind.value != "ok":
        raise typer.Exit(1)


@app.command()
def prepare(
    name: DestinationArgument,
    catalog: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Its segments; else the catalog of the settings.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Make what a destination needs at its provider, such as properties of companies. Exit with 1 if that fails."""
    import asyncio  # noqa: PLC0415

    from streams.catalogs import load_catalog  # noqa: PLC0415
    from streams.notify.playbooks.needs import segments_needed  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    playbooks = _playbooks(settings, with_secrets=True)
    if playbooks is None:
        raise SettingsError("no playbook is set; name one: notify.playbooks (PEGEL_NOTIFY__PLAYBOOKS)")
    _require(playbooks, name)
    needed = segments_needed(playbooks.plays, load_catalog(catalog or settings.engagement.catalog), name)
    steps = asyncio.run(_prepared(playbooks, name, needed))
    for step in steps:
        row = {"name": step.name, "did": step.did.value, "advice": step.advice}
        said = f": {step.advice}" if step.advice else ""
        sys.stdout.write((json.dumps(row) if as_json else f"{step.name}  {step.did}{said}") + "\n")
    if any(step.advice for step in steps):
        raise typer.Exit(1)


async def _prepared(playbooks: "Playbooks", name: str, needed: tuple[list[str], list[str]]) -> "list[Step]":
    from streams.connectors.preparing import Preparing  # noqa: PLC0415

    connector = playbooks.type_of(name).build(playbooks.destinations[name])
    try:
        if not isinstance(connector, Preparing):
            raise ExpectedError(
                f"{name} needs nothing that Pegel could make; try it out: pegel destination test {name}"
            )
        return await connector.prepare(*needed, now_ms())
    finally:
        await connector.close()


async def _sent(playbooks: "Playbooks", name: str) -> "Outcome":
    import uuid  # noqa: PLC0415

    from streams.connectors.message import Message, MessageKind, Rendered  # noqa: PLC0415

    rendered = Rendered("Pegel: a test", f"Sent by {getpass.getuser()} to see whether {name} works. Nothing happened.")
    message = Message(str(uuid.uuid4()), 1, now_ms(), "test", {}, rendered, kind=MessageKind.TEST)
    connector = playbooks.type_of(name).build(playbooks.destinations[name])
    try:
        return await connector.deliver(message)
    finally:
        await connector.close()


def _playbooks(settings: "Settings", *, with_secrets: bool) -> "Playbooks | None":
    from streams.notify.playbooks import load_playbooks  # noqa: PLC0415

    chosen = settings.notify.playbooks
    return None if chosen is None else load_playbooks(str(chosen), os.environ if with_secrets else None)


def _require(playbooks: "Playbooks", name: str) -> None:
    if name not in playbooks.destinations:
        raise ExpectedError(f"the playbook has no destination {name}, only {', '.join(playbooks.destinations)}")


def _tell(settings: "Settings", kind: "CommandKind", name: str, note: str) -> None:
    from schemas.inbox import Command  # noqa: PLC0415
    from streams.control_log import command  # noqa: PLC0415

    playbooks = _playbooks(settings, with_secrets=False)
    if playbooks is not None:
        _require(playbooks, name)
    command(settings, kind, Command(at_ms=now_ms(), by=getpass.getuser(), note=note), name)


def _line(row: dict[str, Any]) -> str:
    said = f" by {row['by']}" + (f": {row['note']}" if row["note"] else "") if row["by"] else ""
    oldest = f", oldest {age(1_000 * row['oldest_s'])}, {row['failing']} failing" if row["open"] else ""
    return f"{row['destination']}  {row['type'] or '-'}  {row['state']}{said}  {row['open']} open{oldest}"
