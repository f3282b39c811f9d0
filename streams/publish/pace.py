"""When each record is due, and by how much times move: decided from one look over all arrivals.

Theory of operation. `Survey` sees every arrival once. From it, `schedule` fixes the moment at which the newest
arrival is due (the end), and with it the moment of every other one: `end - (newest - arrival) / speed`. What is older
than the paced stretch is due at once, and the end lies late enough for all of that to be published first. Records go
out in file order: one that is overdue goes at once, so an arrival out of order delays nothing but what was due later
anyway.

With `shift_to_now`, times move so that the newest arrival is the end itself, and no record is published before its
own moved arrival, for a broker and an engine would take it for a clock that is ahead. So a speed below 1x cannot be
shifted.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from schemas.timestamps import DAY_MS

# So many records a second are published at full speed for sure; only the start of the paced stretch hangs on it.
FAST_RECORDS_PER_S: Final = 10_000
SPEED_MAX: Final = 1e9
UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}


@dataclass(slots=True)
class Survey:
    """Extent of the arrivals, with a count per day: bounded by the calendar, not by the files."""

    count: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None
    _by_day: Counter[int] = field(default_factory=Counter)

    def add(self, arrival_ms: int) -> None:
        self.count += 1
        if self.oldest_ms is None or arrival_ms < self.oldest_ms:
            self.oldest_ms = arrival_ms
        if self.newest_ms is None or arrival_ms > self.newest_ms:
            self.newest_ms = arrival_ms
        self._by_day[arrival_ms // DAY_MS] += 1

    def older_than(self, arrival_ms: int) -> int:
        """How many arrivals lie on days up to the one of `arrival_ms`: at least as many as are older."""
        day = arrival_ms // DAY_MS
        return sum(count for one, count in self._by_day.items() if one <= day)


@dataclass(frozen=True, slots=True)
class Pace:
    """`speed` None is full speed. `last_ms` None paces everything."""

    speed: float | None = None
    last_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    shift_ms: int | None
    end_ms: int
    newest_ms: int
    speed: float | None
    paced_from_ms: int

    def due_ms(self, arrival_ms: int) -> int | None:
        """Wall time at which a record that arrived then (before shifting) is to be published; None: at once."""
        moved_ms = arrival_ms + self.shift_ms if self.shift_ms is not None else None
        if self.speed is None or arrival_ms < self.paced_from_ms:
            return moved_ms
        due_ms = self.end_ms - round((self.newest_ms - arrival_ms) / self.speed)
        return due_ms if moved_ms is None else max(due_ms, moved_ms)


def schedule(survey: Survey, pace: Pace, now_ms: int, *, shift_to_now: bool) -> Schedule:
    assert survey.oldest_ms is not None, "nothing to publish"
    assert survey.newest_ms is not None
    assert not (shift_to_now and pace.speed is not None and pace.speed < 1), "records would lie ahead of their arrival"
    extent_ms = survey.newest_ms - survey.oldest_ms
    if pace.speed is None:
        end_ms, paced_from_ms = now_ms, survey.newest_ms
    else:
        paced_ms = extent_ms if pace.last_ms is None else min(extent_ms, pace.last_ms)
        paced_from_ms = survey.newest_ms - paced_ms
        fast = survey.older_than(paced_from_ms) if paced_ms < extent_ms else 0
        end_ms = now_ms + fast * 1_000 // FAST_RECORDS_PER_S + round(paced_ms / pace.speed)
    shift_ms = end_ms - survey.newest_ms if shift_to_now else None
    return Schedule(shift_ms, end_ms, survey.newest_ms, pace.speed, paced_from_ms)


def parse_speed(text: str) -> float | None:
    """`60x` or `60`: so many times faster than it happened; `max`: as fast as possible (None)."""
    if text == "max":
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?x?", text) is None or not 0 < (speed := float(text.rstrip("x"))) <= SPEED_MAX:
        raise ValueError(f"{text!r} is no speed; write 60x or max")
    return speed


def parse_duration_ms(text: str) -> int:
    """`7d`, `12h`, `30m`, `10s`, `500ms`."""
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text!r} is no duration; write 7d, 12h, 30m or 10s")
    return int(found[1]) * UNITS_MS[found[2]]
