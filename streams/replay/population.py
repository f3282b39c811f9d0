"""The daily look at all accounts, where no worker has taken it: in files of plain events.

When arrival first passes a midnight D by the grace, the percentiles of what every account is ranked by at D are
computed exactly, and apply from then on, as a thresholds record in the log would. A gap of several midnights takes one
look for each. Catalogs without rules about the population cost nothing.
"""

from streams.engine.partition import Partition
from streams.limits import GRACE_MS
from streams.replay.peers import Alone, Peers


class DailyPopulation:
    """Takes the looks of one partition of plain events."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._next_day: int | None = None

    def arrived(self, arrival_ms: int, partition: Partition) -> None:
        """Arrival time has reached `arrival_ms`: take the looks that are due."""
        if not partition.program.slots.ranked:
            return
        calendar = partition.program.calendar
        if self._next_day is None:
            self._next_day = calendar.day_of(arrival_ms - GRACE_MS) + 1
        while calendar.start_of(self._next_day) + GRACE_MS <= arrival_ms:
            look_and_rank(partition, calendar.start_of(self._next_day), self._peers)
            self._next_day += 1

    def finish(self, until_ms: int, partition: Partition) -> None:
        """Take the looks up to the end of the replay, if there was any event."""
        if self._next_day is not None:
            self.arrived(until_ms, partition)


def look_and_rank(partition: Partition, at_ms: int, peers: Peers | None = None) -> None:
    """Look at all accounts as of `at_ms`, and compare them with the percentiles of that."""
    partition.apply_looked(at_ms, (peers or Alone()).percentiles(partition.look(at_ms)))
