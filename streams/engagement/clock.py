"""When a partition's clock is written to its log: the decision, apart from the writing.

Deadlines of accounts that nobody touches fire by clock records. The worker that owns a partition writes one when it has
read everything and a deadline is due; being in the log, it is then an input like any other.

The wall clock may only speak for a log that is lived, not one that is being told: while history is published (its
records arrived long ago), a clock record of now would make every later record of that history late. So after a record
that arrived more than `STALE_MS` before it was read, and after a start on such a log, the wall clock holds its tongue
for a while. A clock that follows the log itself (`log`) needs no such care: it never runs ahead of what has been read.
"""

from enum import StrEnum
from typing import Final, Literal

from streams.engine.account import MINUS_INFINITY
from streams.limits import GRACE_MS

STALE_MS: Final = 5 * 60_000
SPACING_MS: Final = 1_000  # between two clock records: deadlines wait for the grace anyway

ClockMode = Literal["wall", "log", "off"]


class ClockReason(StrEnum):
    """Why a clock record is written, or is not."""

    DUE = "due"
    OFF = "off"
    NOT_CAUGHT_UP = "not_caught_up"
    UNDER_WAY = "under_way"
    BEHIND = "behind"
    HISTORY = "history"
    NOTHING_DUE = "nothing_due"


class PartitionClock:
    """The clock of one partition. All times in ms UTC."""

    def __init__(self, mode: ClockMode, hold_ms: int) -> None:
        self._mode = mode
        self._hold_ms = hold_ms
        self._held_until: int | None = None
        self._written = MINUS_INFINITY
        self.wall_ms: int | None = None  # as of the last tick
        self.newest_arrival = MINUS_INFINITY

    def saw_arrival(self, arrival_ms: int) -> None:
        """A record that arrived at `arrival_ms` has been read."""
        self.newest_arrival = max(self.newest_arrival, arrival_ms)
        if self.wall_ms is not None and arrival_ms < self.wall_ms - STALE_MS:
            self._held_until = self.wall_ms + self._hold_ms

    def tick(self, wall_ms: int) -> None:
        if self._held_until is None:
            fresh = self.newest_arrival >= wall_ms - STALE_MS
            self._held_until = wall_ms if fresh else wall_ms + self._hold_ms
        self.wall_ms = wall_ms

    def time(self, *, caught_up: bool) -> tuple[ClockReason, int]:
        """What time it is for this partition's log, if that may be said (`DUE`), else why not."""
        if self._mode == "off":
            return ClockReason.OFF, 0
        at = self.newest_arrival if self._mode == "log" else self.wall_ms
        if at is None or at == MINUS_INFINITY or not caught_up:
            return ClockReason.NOT_CAUGHT_UP, 0
        if self._mode == "wall" and self._held_until is not None and at < self._held_until:
            return ClockReason.HISTORY, 0
        return ClockReason.DUE, at

    def deadlines_at(self) -> int | None:
        """The time by which deadlines should fire; None where nobody fires them by the clock, or not yet."""
        reason, at = self.time(caught_up=True)
        return at if reason is ClockReason.DUE else None

    def decide(self, deadline: int, floor: int, *, caught_up: bool, behind: bool) -> tuple[ClockReason, int]:
        """Whether to write a clock record now, and its time.

        `behind`: the last one has not reached all accounts; what is due since waits until it has.
        """
        reason, at = self.time(caught_up=caught_up)
        if reason is not ClockReason.DUE:
            return reason, 0
        if behind:
            return ClockReason.BEHIND, 0
        if deadline + GRACE_MS > at or at < floor + SPACING_MS:
            return ClockReason.NOTHING_DUE, 0
        if self._written > floor:
            return ClockReason.UNDER_WAY, 0
        return ClockReason.DUE, at

    def wrote(self, at: int) -> None:
        """A clock record of `at` is on its way into the log; none follows before it has been read."""
        self._written = at
