"""A replay over files from the first line to the last: what was found goes to the spool as it is found."""

from dataclasses import dataclass
from typing import Final, Protocol

from schemas.dead_letter import Rejected
from streams.replay.lines import LineReader
from streams.replay.run import Replay, Summary
from streams.replay.spool import Spool

LINES_TOGETHER: Final = 1_000
REST_EVERY_LINES: Final = 50_000


class Watch(Protocol):
    """Who wants to know how it goes."""

    def read_to(self, bytes_read: int) -> None:
        """So much of the files has been read."""

    def refused(self, place: str, why: str) -> None:
        """A line cannot be used."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`stopped`: by a line that cannot be used."""

    summary: Summary
    accounts: int
    stopped: bool


def take_files(run: Replay, reader: LineReader, spool: Spool, watch: Watch, *, strict: bool) -> Taken:
    """Feed all lines, and bring the accounts to the end of the replay; `strict`: only up to the first unusable line."""
    stopped = False
    for count, line in enumerate(reader):
        if count % LINES_TOGETHER == 0:
            watch.read_to(reader.bytes_read)
            spool.add(run.take_transitions())
            if count % REST_EVERY_LINES == 0:
                run.rest()
        try:
            run.feed(line)
        except Rejected as rejected:
            watch.refused(line.place, str(rejected))
            if strict:
                stopped = True
                break
    spool.add(run.finish())
    return Taken(run.summary, run.accounts, stopped)
