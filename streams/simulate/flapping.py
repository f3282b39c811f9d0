"""Whether accounts go in and out of a segment so often that nobody believes it any more.

Of each account that ever entered, the 30 days with the most entries count: an average over quiet years would hide them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from streams.simulate.course import DAY_MS

MONTH_MS: Final = 30 * DAY_MS
ENTRIES_TOLERATED: Final = 3


@dataclass(frozen=True, slots=True)
class Flapping:
    """`median` and `most` entries in an account's busiest 30 days, over the accounts that entered at all.

    `share_over`: of them, those that entered more than `ENTRIES_TOLERATED` times in some 30 days.
    """

    accounts: int
    median: float
    most: int
    share_over: float


def flapping(entries: Mapping[str, Sequence[int]]) -> Flapping:
    """Of the entries into one segment: ascending times per account."""
    busiest = [busiest_month(times) for times in entries.values() if times]
    if not busiest:
        return Flapping(0, 0.0, 0, 0.0)
    over = sum(count > ENTRIES_TOLERATED for count in busiest)
    return Flapping(len(busiest), float(median(busiest)), max(busiest), over / len(busiest))


def busiest_month(times: Collection[int]) -> int:
    """The most of the ascending times that lie within 30 days."""
    ordered = list(times)
    most = first = 0
    for last, at_ms in enumerate(ordered):
        while at_ms - ordered[first] >= MONTH_MS:
            first += 1
        most = max(most, last - first + 1)
    return most
