"""What a playbook says of a file."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from schemas.playbook import Destination


class FileConfig(Destination):
    type: Literal["file"]
    directory: Path = Field(description="An absolute directory that exists. Nothing is written outside it.")
    file: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="The file's name in it; rotated ones get .1, .2, ..."
    )
    rotate_bytes: int = Field(64 << 20, ge=1 << 20, le=1 << 34, description="A file is rotated before it gets longer.")
    keep: int = Field(5, ge=1, le=100, description="How many rotated files are kept.")
    in_flight_max: int = Field(1, ge=1, le=1, description="There is one end of a file.")

    @field_validator("directory")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute() or ".." in value.parts:
            raise ValueError("the directory must be an absolute path without ..")
        return value
