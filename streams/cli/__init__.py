"""The command `pegel`. One command group a file; a module is imported only when its command is wanted.

Each module has a typer application named `app`: a group has a callback, a plain command has none. Modules import what
is slow to import (Faust, confluent-kafka, the settings) inside their functions, so that `pegel --help` answers at once.

Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 something was found or failed,
2 usage or configuration, 3 Kafka or the schema registry cannot be reached, 4 an invalid schema, catalog or playbook.
"""

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from types import ModuleType
from typing import Annotated, Final

import typer
from typer.main import get_command

from streams import log_events
from streams.errors import (
    ExpectedError,
    InvalidSchemaError,
    KafkaUnreachableError,
    RegistryUnreachableError,
    SettingsError,
)


class ExitStatus(IntEnum):
    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    INVALID = 4


# In the order in which a newcomer needs them.
COMMANDS: Final[dict[str, str]] = {
    "dev": "streams.cli.dev",
    "topics": "streams.cli.topics",
    "worker": "streams.cli.worker",
    "publish": "streams.cli.publish",
    "dump": "streams.cli.dump",
    "replay": "streams.cli.replay",
    "explain": "streams.cli.explain",
    "catalog": "streams.cli.catalog",
    "playbook": "streams.cli.playbook",
    "link": "streams.cli.link",
    "deliveries": "streams.cli.deliveries",
    "destination": "streams.cli.destination",
    "silence": "streams.cli.silence",
    "dlq": "streams.cli.dlq",
    "erase": "streams.cli.erase",
    "doctor": "streams.cli.doctor",
    "size": "streams.cli.size",
    "canary": "streams.cli.canary",
    "rebuild": "streams.cli.rebuild",
    "restore": "streams.cli.restore",
    "schemas": "streams.cli.schemas",
    "config": "streams.cli.config",
}


def main() -> None:
    """The console script."""
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = ExitStatus.FAILURE
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; what was expected to go wrong ends in one line, no traceback."""
    try:
        get_command(_application(arguments)).main(args=list(arguments), prog_name="pegel")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitStatus.OK
    except ExpectedError as error:
        _tell(str(error))
        return exit_status_of(error)
    return ExitStatus.OK


def _tell(fault: str) -> None:
    """In words for whoever typed the command, or in the log of a process whose log is read by machines."""
    if not log_events.for_machines:
        sys.stderr.write(f"pegel: {fault}\n")
        return
    for line in fault.splitlines():
        log_events.CANNOT_GO_ON.tell(reason=line)


def exit_status_of(error: ExpectedError) -> ExitStatus:
    match error:
        case SettingsError():
            return ExitStatus.USAGE
        case KafkaUnreachableError() | RegistryUnreachableError():
            return ExitStatus.UNREACHABLE
        case InvalidSchemaError():
            return ExitStatus.INVALID
        case _:
            return ExitStatus.FAILURE


def _application(arguments: Sequence[str]) -> typer.Typer:
    """The application with the command that is wanted, or with all where none is named: for help and suggestions."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    app.callback()(_root)
    wanted = arguments[0] if arguments else ""
    for name in (wanted,) if wanted in COMMANDS else COMMANDS:
        _add(app, name, importlib.import_module(COMMANDS[name]))
    return app


def _add(app: typer.Typer, name: str, module: ModuleType) -> None:
    command: typer.Typer = module.app
    if command.registered_callback is None and len(command.registered_commands) == 1:
        app.registered_commands.extend(command.registered_commands)
    else:
        app.add_typer(command, name=name)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"pegel {importlib.metadata.version('pegel')}\n")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Account-level engagement segments from product events, decided in event time, on Kafka."""
