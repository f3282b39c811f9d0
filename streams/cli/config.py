"""`pegel config`: what the settings are, and who set them."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, loaded_settings

if TYPE_CHECKING:
    from streams.settings import Leaf

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Show the effective settings."""


@app.command()
def show(
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print every setting with its effective value; secrets are masked."""
    leaves = list(loaded_settings(config, bootstrap).leaves())
    if as_json:
        for leaf in leaves:
            sys.stdout.write(json.dumps(_row(leaf, origin=origin), ensure_ascii=False) + "\n")
        return
    width = max(len(leaf.name) for leaf in leaves)
    for leaf in leaves:
        value = json.dumps(leaf.value, ensure_ascii=False)
        line = f"{leaf.name:<{width}}  {value}"
        sys.stdout.write(f"{line:<{width + 26}}  # {leaf.origin}\n" if origin else f"{line}\n")


def _row(leaf: "Leaf", *, origin: bool) -> dict[str, object]:
    row: dict[str, object] = {"name": leaf.name, "value": leaf.value, "description": leaf.description}
    return {**row, "origin": leaf.origin} if origin else row
