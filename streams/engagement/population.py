"""The daily look at the population, over all partitions, through the log.

    every partition   when its clock passes a midnight D by the grace: a sketch of what its accounts are ranked by at D,
                      as a `sketch` record into partition 0
    partition 0       when the sketches of D are there from all partitions: the merged percentiles, as a `thresholds`
                      record into every partition

Both steps are outputs of transactions and inputs of the log: nobody waits for anybody, a restart at any point goes
on where the log stands, and what an account is compared with is in the very log that decides it. The canary's accounts
(`schemas.canary`) are nobody's and do not count. A look costs one pass over the partition's accounts, and only where
the catalog has rules about the population. It is taken some accounts at a time, between records: whether it sees what
comes meanwhile is left open, for nothing rests on it but the percentiles that it writes. A look that a restart or
another catalog breaks off is taken again from the start. A day that some partition never reports is dropped when a
later day is complete.
"""

from collections.abc import Mapping

from schemas.canary import is_canary
from schemas.control import Sketch, Thresholds
from schemas.timestamps import format_day, parse_day
from streams.engagement.rows import SketchKey
from streams.engagement.sketches import Sketches, merged
from streams.engine.calendar import Calendar
from streams.engine.partition import Partition
from streams.limits import GRACE_MS

COORDINATOR: int = 0
DAYS_PENDING_MAX: int = 8


class Looks:
    """When this partition looks at its accounts."""

    def __init__(self) -> None:
        self.day: int | None = None  # the latest day looked at

    def due(self, now_ms: int, calendar: Calendar) -> int | None:
        """The day of which a look is due, if one is; a day missed is not made up for."""
        day = calendar.day_of(now_ms - GRACE_MS)
        if self.day is None or day > self.day:
            return day
        return None


class Look:
    """A look at a partition's accounts that is under way."""

    def __init__(self, day: int, now_ms: int, engine: Partition) -> None:
        self.day = day
        self.now_ms = now_ms
        self._at_ms = engine.program.calendar.start_of(day)
        self._begin(engine)

    def _begin(self, engine: Partition) -> None:
        self._program = engine.program
        self._left = [account_id for account_id in engine.account_ids() if not is_canary(account_id)]
        self._sketches = Sketches(self._program.slots.ranked)

    def go_on(self, engine: Partition, accounts_max: int) -> bool:
        """Look at up to so many accounts; whether all have been looked at, or no rule asks for it any more."""
        if self._program is not engine.program:
            self._begin(engine)
        if not self._program.slots.ranked:
            return True
        for _ in range(min(accounts_max, len(self._left))):
            values = engine.look_at(self._left.pop(), self._at_ms)
            if values is not None:
                self._sketches.add(values)
        return not self._left

    def sketch(self, partition: int) -> Sketch:
        return Sketch(day=format_day(self.day), partition=partition, measures=self._sketches.encoded())


class Coordinator:
    """Collects sketches and decides when a day is complete. Lives in the stage of partition 0."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._pending: dict[SketchKey, Mapping[str, str]] = {}
        self.decided_day: int | None = None

    def restore(self, key: SketchKey, measures: Mapping[str, str] | None) -> None:
        if measures is None:
            self._pending.pop(key, None)
        else:
            self._pending[key] = measures

    def take(self, sketch: Sketch) -> tuple[Thresholds | None, dict[SketchKey, Mapping[str, str] | None]]:
        """A sketch arrived: the thresholds of its day if that makes it complete, and the rows that changed.

        Raises:
            Rejected: a sketch of the completed day cannot be read.
        """
        day = parse_day(sketch.day)
        assert day is not None, "validated"
        if self.decided_day is not None and day <= self.decided_day:
            return None, {}
        key = SketchKey(day, sketch.partition)
        self._pending[key] = sketch.measures
        parts = [measures for known, measures in self._pending.items() if known.day == day]
        if len(parts) < self._partitions:
            return None, {key: sketch.measures, **self._drop(self._too_old())}
        del self._pending[key]
        done = self._drop([known for known in self._pending if known.day <= day])
        self.decided_day = day
        return Thresholds(day=format_day(day), measures=dict(merged(parts))), done

    def _too_old(self) -> list[SketchKey]:
        days = sorted({key.day for key in self._pending})[:-DAYS_PENDING_MAX]
        return [key for key in self._pending if key.day in days]

    def _drop(self, keys: list[SketchKey]) -> dict[SketchKey, Mapping[str, str] | None]:
        for key in keys:
            del self._pending[key]
        return dict.fromkeys(keys)
