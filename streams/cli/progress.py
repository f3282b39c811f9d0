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
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=reader.bytes_total)
        yield lambda: progress.update(task, completed=reader.bytes_read)
