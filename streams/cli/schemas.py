"""`pegel schemas`: the contracts as JSON Schema, and whether files keep to them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for

if TYPE_CHECKING:
    from streams.replay.lines import Line
    from streams.schema_registry.standing import Verdict

    Finding = tuple[str, str]
    """Reason and detail."""

app = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="event, transition, membership, ...; `pegel schemas list` has them all."),
]


@app.callback()
def schemas() -> None:
    """Show the contracts, and check files against them."""


@app.command("list")
def list_names() -> None:
    """List the contracts, with what each is about."""
    from schemas.generate import CONTRACTS  # noqa: PLC0415

    width = max(map(len, CONTRACTS))
    for name, model in CONTRACTS.items():
        summary = (model.__doc__ or "").partition("\n")[0]
        sys.stdout.write(f"{name:<{width}}  {summary}\n")


@app.command()
def show(name: NameArgument) -> None:
    """Write a contract's JSON Schema."""
    from schemas.generate import rendered  # noqa: PLC0415

    sys.stdout.write(rendered(_known(name)))


@app.command()
def generate(
    check: Annotated[
        bool, typer.Option("--check", help="Only say which files are out of step; exit 1 if any.")
    ] = False,
) -> None:
    """Write the JSON Schema files and the AsyncAPI document anew from the models and topics."""
    from schemas.generate import folder, out_of_step, write  # noqa: PLC0415
    from streams.asyncapi import file as asyncapi_file  # noqa: PLC0415

    changed = out_of_step(folder()) if check else write(folder())
    changed += asyncapi_file.out_of_step(folder()) if check else asyncapi_file.write(folder())
    for path in changed:
        sys.stdout.write(f"{path}\n")
    say(f"{len(changed)} files {'are out of step' if check else 'written'}")
    raise typer.Exit(1 if check and changed else 0)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say how the contracts stand in the schema registry (registry.url), and change nothing.

    Exits with 1 if any is missing or another one, with 4 if one may not follow what is registered.
    """
    _registry(config, as_json=as_json, register=False)


@app.command()
def register(
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, as `check` does.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Register the contracts in the schema registry, under the level FORWARD_TRANSITIVE.

    If one may not follow what is registered, none is, and it exits with 4.
    """
    _registry(config, as_json=as_json, register=not dry_run)


@app.command()
def asyncapi(config: ConfigOption = None, bootstrap: BootstrapOption = None) -> None:
    """Write the AsyncAPI document of a deployment: its topics, messages, and who sends and receives them."""
    from streams.asyncapi.document import rendered  # noqa: PLC0415

    sys.stdout.write(rendered(settings_for(config, bootstrap)))


@app.command()
def validate(
    name: NameArgument,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is standard input.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Also report fields of events that are ignored for their wrong type.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every line of files; each that fails is written with its place and the reason. Exits with 4 if any does."""
    from streams.errors import InvalidSchemaError, SettingsError  # noqa: PLC0415
    from streams.replay.lines import LineReader  # noqa: PLC0415

    find = _finder(_known(name), strict=strict)
    lines = bad = 0
    try:
        for line in LineReader(files):
            lines += 1
            finding = find(line.raw)
            if finding is not None:
                bad += 1
                _report(line, finding, as_json=as_json)
    except OSError as error:
        raise SettingsError(str(error)) from None
    if bad:
        raise InvalidSchemaError(f"{bad} of {lines} lines do not keep to the contract {name}")
    say(f"{lines} lines keep to the contract {name}")


def _registry(config: Path | None, *, as_json: bool, register: bool) -> None:
    from streams.errors import InvalidSchemaError  # noqa: PLC0415
    from streams.schema_registry.client import Registry  # noqa: PLC0415
    from streams.schema_registry.desired import subjects  # noqa: PLC0415
    from streams.schema_registry.standing import Standing  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    settings = settings_for(config)
    registry = Registry(settings.registry)
    verdicts = [registry.examine(subject) for subject in subjects(Topics(settings.kafka.topic_prefix))]
    refused = [one.subject.name for one in verdicts if one.refused]
    due = [one for one in verdicts if one.standing is not Standing.REGISTERED]
    if register and not refused:
        verdicts = [registry.register(one.subject) if one in due else one for one in verdicts]
        due = [one for one in verdicts if one.standing is not Standing.REGISTERED]
    for one in verdicts:
        sys.stdout.write((json.dumps(_standing_row(one)) if as_json else _standing_line(one)) + "\n")
    if refused:
        raise InvalidSchemaError(f"{', '.join(refused)}: may not follow what is registered; nothing was changed")
    say(f"{len(verdicts)} subjects at {settings.registry.url}, {len(due)} not as they should be")
    raise typer.Exit(1 if due else 0)


def _standing_row(verdict: "Verdict") -> dict[str, object]:
    found = verdict.found
    return {
        "subject": verdict.subject.name,
        "contract": verdict.subject.contract,
        "standing": verdict.standing.value,
        "id": found.schema_id if found else None,
        "version": found.version if found else None,
        "level": found.level if found else None,
        "details": list(verdict.details),
    }


def _standing_line(verdict: "Verdict") -> str:
    found = verdict.found
    place = f"  version {found.version}, id {found.schema_id}" if found else ""
    return f"{verdict.standing:<20}  {verdict.subject.name}{place}" + "".join(f"\n  {one}" for one in verdict.details)


def _known(name: str) -> str:
    from schemas.generate import CONTRACTS  # noqa: PLC0415

    if name not in CONTRACTS:
        raise typer.BadParameter(f"no contract is named {name!r}; there are {', '.join(CONTRACTS)}")
    return name


def _finder(name: str, *, strict: bool) -> "Callable[[bytes], Finding | None]":
    from pydantic import ValidationError  # noqa: PLC0415

    from schemas.dead_letter import Rejected  # noqa: PLC0415
    from schemas.event import ignored_fields, read_event  # noqa: PLC0415
    from schemas.generate import CONTRACTS  # noqa: PLC0415

    def in_event(raw: bytes) -> "Finding | None":
        try:
            read_event(raw)
        except Rejected as rejected:
            return rejected.reason.value, rejected.detail
        ignored = ignored_fields(json.loads(raw)) if strict else []
        return ("ignored", ", ".join(ignored)) if ignored else None

    def in_other(raw: bytes) -> "Finding | None":
        try:
            CONTRACTS[name].model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return first["type"], f"{place}: {first['msg']}" if place else first["msg"]
        return None

    return in_event if name == "event" else in_other


def _report(line: "Line", finding: "Finding", *, as_json: bool) -> None:
    reason, detail = finding
    row = {"file": line.file, "line": line.number, "reason": reason, "detail": detail}
    sys.stdout.write((json.dumps(row, ensure_ascii=False) if as_json else f"{line.place}: {reason}: {detail}") + "\n")
