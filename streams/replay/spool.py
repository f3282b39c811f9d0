"""Transitions on their way out of a replay: in order, however many there are.

Theory of operation. They go out by when they took effect, and the next event of the quietest account may let one take
effect years ago: nothing can be written before everything is read. So each is encoded as soon as it is found; what
comes to `HELD_BYTES_MAX` is sorted and written to a file, a *run*, and in the end the runs are merged. `RUNS_MAX` runs
become one, so that neither memory nor open files grow with what was found.
"""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import msgspec

from streams.engine.found import Transition
from streams.engine.outgoing import emitted, told
from streams.errors import ExpectedError

HELD_BYTES_MAX: Final = 64 << 20
RUNS_MAX: Final = 32

Entry = tuple[int, str, int, str, str, bytes]
"""When it took effect, of which account, its sequence: the order. Then segment, direction, and what is written."""

_ENDING: Final = emitted(None)
_CHUNK_ENTRIES: Final = 256
_LENGTH_BYTES: Final = 4
_ENTRY_BYTES: Final = 300
"""What an entry takes beside its text."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Entry]).decode


class SpoolError(ExpectedError):
    """What was found cannot be put aside."""


class Spool:
    """What was found so far, in a folder that is the caller's to remove."""

    def __init__(self, folder: Path, name: str = "run", held_bytes_max: int = HELD_BYTES_MAX) -> None:
        """`name`: of its files, where several share a folder."""
        self._folder = folder
        self._name = name
        self._held_bytes_max = held_bytes_max
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._runs: list[Path] = []
        self._written = 0

    def add(self, found: Iterable[Transition]) -> None:
        for one in found:
            value = told(one, _ENDING).value
            self._held.append((one.effective_at, one.account_id, one.sequence, one.segment, one.direction, value))
            self._held_bytes += len(value) + _ENTRY_BYTES
        if self._held_bytes > self._held_bytes_max:
            self._write_held()

    def entries(self) -> Iterator[Entry]:
        """All of them in order."""
        self._held.sort()
        return merged(self._runs, self._held)

    def to_file(self) -> Path:
        """All of them in order, in one file."""
        self._write_held()
        if len(self._runs) > 1:
            self._merge_runs()
        return self._runs[0]

    @property
    def runs(self) -> int:
        return len(self._runs)

    def _write_held(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        held.sort()
        self._runs.append(self._write(held))
        if len(self._runs) >= RUNS_MAX:
            self._merge_runs()

    def _merge_runs(self) -> None:
        one = self._write(merged(self._runs))
        for run in self._runs:
            run.unlink()
        self._runs = [one]

    def _write(self, entries: Iterable[Entry]) -> Path:
        path = self._folder / f"{self._name}-{self._written}"
        self._written += 1
        chunk: list[Entry] = []
        try:
            with path.open("wb") as file:
                for entry in entries:
                    chunk.append(entry)
                    if len(chunk) == _CHUNK_ENTRIES:
                        _write_chunk(file, chunk)
                        chunk.clear()
                _write_chunk(file, chunk)
        except OSError as error:
            raise SpoolError(f"{path}: {error.strerror}; set TMPDIR to a folder with room for what is found") from None
        return path


def merged(runs: Iterable[Path], held: Iterable[Entry] = ()) -> Iterator[Entry]:
    """The entries of several runs, and of a list that is in order, in order."""
    with ExitStack() as stack:
        files = [stack.enter_context(run.open("rb")) for run in runs]
        yield from heapq.merge(held, *map(_read, files))


def _write_chunk(file: IO[bytes], chunk: list[Entry]) -> None:
    packed = _encode(chunk)
    file.write(len(packed).to_bytes(_LENGTH_BYTES, "big") + packed)


def _read(file: IO[bytes]) -> Iterator[Entry]:
    while length := file.read(_LENGTH_BYTES):
        yield from _decode(file.read(int.from_bytes(length, "big")))
