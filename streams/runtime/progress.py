"""How far a load of state is, for the log and ``/readyz``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Load(Protocol):
    """One partition on its way: offsets read of offsets there are, and the rows among them."""

    @property
    def read_to(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def rows(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """All partitions of one load together."""

    rows: int
    percent: float
    """Of the offsets; an empty changelog is read as soon as its end is known."""
    seconds_left: float | None
    """If it goes on as it went so far; ``None`` before anything was read."""

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", about {self.seconds_left:.0f} s left"
        return f"{self.rows} rows, {self.percent:.0f} %{left}"


def progress(loads: Sequence[Load], elapsed_s: float) -> Progress:
    read, end = sum(min(one.read_to, one.end) for one in loads), sum(one.end for one in loads)
    rows = sum(one.rows for one in loads)
    seconds_left = elapsed_s * (end - read) / read if read else None
    return Progress(rows, 100.0 * read / end if end else 0.0, seconds_left)
