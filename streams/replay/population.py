"""The daily look at all accounts, where no worker has taken it: in files of plain events.

When arrival first passes a midnight D by the grace, the percentiles of what every account is ranked by at D are
computed exactly, and apply from then on, as a thresholds record in the log would. A gap of several midnights takes one
look for each. Catalogs without rules about the population cost nothing.
"""

from streams.engine.partition import Partition
from streams.engine.population import Thresholds, percentiles_of
from streams.limits import GRACE_MS


class DailyPopulation:
    """Takes the looks of one partition of plain events."""

    def __init__(self) -> None:
        self._next_day: int | None = None

    def arrived(self, arrival_ms: int, partition: Partition) -> None:
        """Arrival time has reached `arrival_ms`: take the looks that are due."""
        if not partition.program.slots.ranked:
            return
        calendar = partition.program.calendar
        if self._next_day is None:
            self._next_day = calendar.day_of(arrival_ms - GRACE_MS) + 1
        while calendar.start_of(self._next_day) + GRACE_MS <= arrival_ms:
            _look(partition, calendar.start_of(self._next_day))
            self._next_day += 1

    def finish(self, until_ms: int, partition: Partition) -> None:
        """Take the looks up to the end of the replay, if there was any event."""
        if self._next_day is not None:
            self.arrived(until_ms, partition)


def _look(partition: Partition, at_ms: int) -> None:
    looked = partition.look(at_ms)
    columns = zip(*looked.values(), strict=True) if looked else ()
    percentiles = {
        name: percentiles_of(value for value in column if value is not None)
        for name, column in zip(partition.program.slots.ranked, columns, strict=False)
    }
    partition.apply_thresholds(Thresholds(at_ms, percentiles), looked)
