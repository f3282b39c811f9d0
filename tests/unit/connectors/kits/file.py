"""A file."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.connectors.file.config import FileConfig
from streams.connectors.file.connector import FILE
from tests.unit.connectors.kit import Case, Kit


class FileRig:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "alerts.ndjson"

    def config(self, timeout_s: float = 5.0) -> FileConfig:
        return FileConfig(id="file", type="file", directory=self.directory, file=self.path.name, timeout_s=timeout_s)

    def meet(self, case: Case) -> None:
        assert case is Case.UNWELL
        self.path.mkdir()

    def recover(self) -> None:
        if self.path.is_dir():
            self.path.rmdir()

    def landed(self) -> list[str]:
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.is_file() else []
        return [json.loads(line)["delivery_id"] for line in lines]


@asynccontextmanager
async def file_rig(directory: Path) -> AsyncIterator[FileRig]:
    yield FileRig(directory)


FILE_KIT = Kit(FILE, file_rig, frozenset({Case.UNWELL}))
