"""Writes lines to standard output."""

import sys
from typing import TextIO

from schemas.playbook import Destination
from streams.connectors.console.config import ConsoleConfig
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, OutcomeKind, ok


class ConsoleConnector:
    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def deliver(self, message: Message) -> Outcome:
        stream = self._stream or sys.stdout
        try:
            stream.write(line_of(message) + "\n")
            stream.flush()
        except (OSError, ValueError):  # ValueError: the stream has been closed
            return Outcome(OutcomeKind.RETRY_DESTINATION, "cannot_write")
        return ok()

    async def close(self) -> None:
        """Standard output is not ours to close."""


def line_of(message: Message) -> str:
    fields = (
        str(message.transition.get("effective_at", "")),
        str(message.transition.get("account_id", "")),
        message.rendered.title,
        " / ".join(message.rendered.body.splitlines()),
    )
    return "\t".join("".join(c if c.isprintable() else " " for c in field) for field in fields)


def _build(config: Destination) -> ConsoleConnector:
    assert isinstance(config, ConsoleConfig)
    return ConsoleConnector()


CONSOLE = ConnectorType("console", ConsoleConfig, Dialect.PLAIN, _build, deduplicates=False)
