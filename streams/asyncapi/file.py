"""The committed document, beside the JSON Schemas: kept in step as they are."""

from pathlib import Path
from typing import Final

from streams.asyncapi.document import rendered
from streams.settings import Settings

FILE: Final = "asyncapi.yaml"


def out_of_step(schemas: Path) -> list[Path]:
    """The file, if it is missing or differs. `schemas` is the folder of the JSON Schemas."""
    file, text = schemas.parent / FILE, rendered(Settings())
    return [] if file.is_file() and file.read_text("utf-8") == text else [file]


def write(schemas: Path) -> list[Path]:
    """Bring it in step; returns it if it was not."""
    changed = out_of_step(schemas)
    for file in changed:
        file.write_text(rendered(Settings()), "utf-8")
    return changed
