"""Progress of reading files, for those who watch a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streams.replay.lines import LineReader

PROGRESS_EVERY_LINES: Final = 1_000


@contextmanager
def reading(reader: "LineReader", what: str) -> Iterator[Callable[[], None]]:
    """A progress bar over the bytes read, if standard error is a terminal."""
    with shown(reader.bytes_total, what) as read_to:
        yield lambda: read_to(reader.bytes_read)


@contextmanager
def shown(bytes_total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """The same for who is told how far the reading is."""
    if not sys.stderr.isatty():
        yield lambda _bytes_read: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=bytes_total)
        yield lambda bytes_read: progress.update(task, completed=bytes_read)
