"""Standard output, here a stream of ours."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from pathlib import Path

from schemas.playbook import Destination
from streams.connectors.console.config import ConsoleConfig
from streams.connectors.console.connector import CONSOLE
from tests.unit.connectors.kit import DELIVERY_ID, Case, Kit


class Terminal(io.StringIO):
    broken = False

    def write(self, text: str) -> int:
        if self.broken:
            self.broken = False
            raise BrokenPipeError
        return super().write(text)


class ConsoleRig:
    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def config(self, timeout_s: float = 5.0) -> Destination:
        return ConsoleConfig(id="console", type="console", timeout_s=timeout_s)

    def meet(self, case: Case) -> None:
        assert case is Case.UNWELL
        self.terminal.broken = True

    def recover(self) -> None:
        """A line that failed harmed nothing."""

    def landed(self) -> list[str]:
        return [DELIVERY_ID for _ in self.terminal.getvalue().splitlines()]


@asynccontextmanager
async def console_rig(_: Path) -> AsyncIterator[ConsoleRig]:
    terminal = Terminal()
    with redirect_stdout(terminal):
        yield ConsoleRig(terminal)


CONSOLE_KIT = Kit(CONSOLE, console_rig, frozenset({Case.UNWELL}), gives_ref=False)
