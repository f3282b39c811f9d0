"""Appends messages to a file, one line of JSON each."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.document import document_of
from streams.connectors.file.config import FileConfig
from streams.connectors.file.lines import Lines, LineTooLongError
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, OutcomeKind, ok


class FileConnector:
    """Writes in a thread of its own: a disk may take its time, and what was begun cannot be called back."""

    def __init__(self, config: FileConfig) -> None:
        self._lines = Lines(config.directory, config.file, config.rotate_bytes, config.keep)
        self._timeout_s = config.timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"file-{config.id}")
        self._writing: asyncio.Future[Outcome] | None = None

    async def deliver(self, message: Message) -> Outcome:
        if self._writing is not None and not self._writing.done():
            return Outcome(OutcomeKind.RETRY_DESTINATION, "still_writing")
        self._writing = asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, message)
        await asyncio.wait([self._writing], timeout=self._timeout_s)
        return self._writing.result() if self._writing.done() else Outcome(OutcomeKind.AMBIGUOUS, "timed_out")

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, message: Message) -> Outcome:
        try:
            if message.after_ambiguous and self._lines.holds(_mark(message)):
                return ok(message.delivery_id)
            self._lines.append(line_of(message))
        except LineTooLongError:
            return Outcome(OutcomeKind.REJECTED, "too_long")
        except OSError:
            return Outcome(OutcomeKind.RETRY_DESTINATION, "cannot_write")
        return ok(message.delivery_id)


def line_of(message: Message) -> bytes:
    written_at = datetime.fromtimestamp(message.sent_at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    document = document_of(message)
    return msgspec.json.encode(document | {"written_at": written_at.replace("+00:00", "Z")})


def _mark(message: Message) -> bytes:
    """How a line of this delivery begins."""
    return msgspec.json.encode({"delivery_id": message.delivery_id})[:-1] + b","


def _build(config: Destination) -> FileConnector:
    assert isinstance(config, FileConfig)
    return FileConnector(config)


FILE = ConnectorType("file", FileConfig, Dialect.PLAIN, _build, deduplicates=True)
