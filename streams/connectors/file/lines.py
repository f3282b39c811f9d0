"""A file of lines that grows at its end, survives crashes and is rotated by size.

Theory of operation. A line is there when `append` returns: written and synced. A line that a crash or a full disk left
torn is cut off before the next is written, so every line that a reader sees is whole. All names are opened relative to
the directory, and links are not followed: nothing outside it is ever written.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LINE_BYTES_MAX: Final = 1 << 20
LOOK_BACK_BYTES: Final = 16 << 20
MODE: Final = 0o640
FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class LineTooLongError(ValueError):
    """More than LINE_BYTES_MAX."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Every call opens and closes: no handle outlives a rotation or a directory that was replaced."""

    directory: Path
    name: str
    rotate_bytes: int
    keep: int

    def append(self, line: bytes) -> int:
        """Write one line; returns where in the file it begins. Raises OSError, and then it is not there."""
        assert b"\n" not in line
        if len(line) >= LINE_BYTES_MAX:
            raise LineTooLongError
        with self._directory() as folder:
            with self._opened(folder) as file:
                size = _whole(file)
                if size > 0 and size + len(line) + 1 <= self.rotate_bytes:
                    return _written(file, size, line)
            if size:
                self._rotate(folder)
            with self._opened(folder) as file:
                # The file may be new: its name has to be on the disk as well.
                return _written(file, 0, line, folder)

    def holds(self, word: bytes) -> bool:
        """Whether a line written lately has the word: within the last LOOK_BACK_BYTES, rotated files included."""
        left = LOOK_BACK_BYTES
        with self._directory() as folder:
            for name in self._names():
                try:
                    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                except FileNotFoundError:
                    continue
                with os.fdopen(handle, "rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - left))
                    if any(word in line for line in file):
                        return True
                left -= size
                if left <= 0:
                    break
        return False

    def _names(self) -> list[str]:
        """The youngest first."""
        return [self.name, *(f"{self.name}.{number}" for number in range(1, self.keep + 1))]

    def _rotate(self, folder: int) -> None:
        names = self._names()
        for older, younger in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            try:
                os.replace(younger, older, src_dir_fd=folder, dst_dir_fd=folder)
            except FileNotFoundError:
                continue

    @contextmanager
    def _directory(self) -> Iterator[int]:
        folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _opened(self, folder: int) -> Iterator[int]:
        file = os.open(self.name, FLAGS, MODE, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError("no regular file")
            yield file
        finally:
            os.close(file)


def _written(file: int, size: int, line: bytes, folder: int | None = None) -> int:
    """Write it whole or not at all."""
    try:
        _write_through(file, line + b"\n")
        if folder is not None:
            os.fsync(folder)
    except OSError:
        os.ftruncate(file, size)
        raise
    return size


def _write_through(file: int, text: bytes) -> None:
    if os.write(file, text) != len(text):
        raise OSError("the disk is full")
    os.fsync(file)


def _whole(file: int) -> int:
    """Cut off a torn last line; returns the size. What has no lines at its end is not ours: OSError."""
    size = os.fstat(file).st_size
    start = max(0, size - LINE_BYTES_MAX)
    end = start + os.pread(file, size - start, start).rfind(b"\n") + 1
    if end == start and start > 0:
        raise OSError("no file of lines")
    if end != size:
        os.ftruncate(file, end)
    return end
