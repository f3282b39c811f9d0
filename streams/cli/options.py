"""Options that every command spells the same way, and how they become settings."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.settings import Loaded, Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="YAML file of settings (also PEGEL_CONFIG).", show_default=False),
]
BootstrapOption = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        help="Kafka to talk to (also PEGEL_KAFKA__BOOTSTRAP; default 127.0.0.1:9092).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON lines with stable keys.")]


def loaded_settings(config: Path | None, bootstrap: str | None = None, **sections: dict[str, Any]) -> "Loaded":
    """All sources of settings, the command's options first; warnings go to standard error."""
    from streams.settings import load  # noqa: PLC0415 - slow to import, and `--help` needs none of it

    options = {**sections, "kafka": {"bootstrap": bootstrap, **sections.get("kafka", {})}}
    loaded = load(config, options)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return loaded


def settings_for(config: Path | None, bootstrap: str | None = None, **sections: dict[str, Any]) -> "Settings":
    return loaded_settings(config, bootstrap, **sections).settings


def say(line: str) -> None:
    """Tell the user something that is not data."""
    sys.stderr.write(f"pegel: {line}\n")
    sys.stderr.flush()
