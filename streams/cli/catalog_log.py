"""`pegel catalog apply` and `history`: the catalog of running workers, through their log."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.errors import InvalidSchemaError


def apply(
    catalog: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A built-in's name or a YAML file.")],
    announce: Annotated[
        bool, typer.Option("--announce", help="Tell people about the transitions that the change itself makes.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the catalog and say what would be written.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Let a catalog apply on running workers from one place in the log on.

    Nothing is replayed. Who is in or out of a segment by the new rules alone gets a transition with the trigger
    "catalog", of which nobody is told without --announce. `pegel catalog simulate` says beforehand what will change.
    """
    from streams.catalogs import load_catalog  # noqa: PLC0415
    from streams.control_log import apply_catalog  # noqa: PLC0415
    from streams.engine.program import compile_catalog  # noqa: PLC0415
    from streams.engine.rules.errors import CatalogError  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    try:
        program = compile_catalog(load_catalog(catalog), catalog)
    except CatalogError as error:
        raise InvalidSchemaError(str(error)) from None
    what = f"catalog {program.catalog.name} ({program.version}, {len(program.segments)} segments)"
    if dry_run:
        say(f"{what} would apply at {settings.kafka.bootstrap}; nothing was written")
        return
    if not yes and not typer.confirm(f"Let {what} apply at {settings.kafka.bootstrap} from now on?", err=True):
        raise typer.Exit(1)
    written = apply_catalog(settings, program, announce=announce)
    say(f"{what} applies from {_time(written.at_ms)} on, in {written.partitions} partitions")


def history(config: ConfigOption = None, bootstrap: BootstrapOption = None, as_json: JsonOption = False) -> None:
    """List the catalogs that were applied, oldest first; each version with the last time it was."""
    from streams.dumping import TopicReader  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    topic = Topics(settings.kafka.topic_prefix).catalogs
    latest: dict[str, dict[str, Any]] = {}
    for message in TopicReader(settings.kafka, topic).records():
        content, version = json.loads(message.value()), message.key().decode()
        latest.pop(version, None)  # each partition's first worker writes it; applied again it is the newest again
        latest[version] = {
            "version": version,
            "name": content["name"],
            "segments": len(content["segments"]),
            "applied_at": _time(message.timestamp()[1]),
        }
    for row in latest.values():
        line = json.dumps(row) if as_json else "{applied_at}  {version}  {name}  {segments} segments".format(**row)
        sys.stdout.write(line + "\n")


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
