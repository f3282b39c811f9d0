"""Lines of files: plain, gzip or standard input, one at a time, each with its place."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from streams.errors import ExpectedError
from streams.limits import RECORD_BYTES_MAX

# A dumped record is a JSON text within JSON: every byte may have become six.
LINE_BYTES_MAX: Final = 6 * RECORD_BYTES_MAX + 4_096
_GZIP_MAGIC: Final = b"\x1f\x8b"
STDIN: Final = "-"


class Line(NamedTuple):
    """A line without its end; `raw` is cut at `LINE_BYTES_MAX` if it is longer, which makes it no JSON."""

    file: str
    number: int
    raw: bytes

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


class UnreadableError(ExpectedError):
    """A file cannot be read, or no further than to a place."""


class LineReader:
    """Reads files in argument order; `bytes_read` of `bytes_total` says how far it is (None: unknown).

    Iterating raises `UnreadableError`, with the place, where a file cannot be read any further.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._done = 0
        self._raw: BufferedReader | None = None
        sizes = [None if name == STDIN else Path(name).stat().st_size for name in names]
        self.bytes_total = None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def bytes_read(self) -> int:
        return self._done + (self._raw.tell() if self._raw is not None and self._raw.seekable() else 0)

    def __iter__(self) -> Iterator[Line]:
        for name in self._names:
            with self._opened(name) as stream:
                yield from _lines("<stdin>" if name == STDIN else name, stream)
            self._done += 0 if name == STDIN else Path(name).stat().st_size

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        with ExitStack() as stack:
            raw = sys.stdin.buffer if name == STDIN else stack.enter_context(_open(name))
            assert isinstance(raw, BufferedReader)
            self._raw = raw
            stack.callback(self._forget)
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if raw.peek(2)[:2] == _GZIP_MAGIC else raw

    def _forget(self) -> None:
        self._raw = None


def _open(name: str) -> BufferedReader:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise UnreadableError(f"{name}: cannot be read: {error.strerror}") from None


def _lines(name: str, stream: IO[bytes]) -> Iterator[Line]:
    number = 0
    try:
        while raw := stream.readline(LINE_BYTES_MAX):
            if not raw.endswith(b"\n") and len(raw) == LINE_BYTES_MAX:
                while (rest := stream.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                    pass
            number += 1
            stripped = raw.strip()
            if stripped:
                yield Line(name, number, stripped)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"{name}:{number + 1}: cannot be read: {error}") from None
