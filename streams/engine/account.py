"""The state of one account: everything that is remembered, and nothing that can be derived from it.

It is a tree of msgspec arrays, so that what is kept in memory, what is stored and what is restored are one definition.
Times are integer ms UTC, days are day numbers of the catalog's calendar, weights are thousandths.
Derived figures (window sums, stage, membership bits) live in `working.Working` and are rebuilt from here.

Changing a field changes the stored format: `codec` numbers the versions.
"""

from typing import Any, Final

import msgspec

MINUS_INFINITY: Final = -(1 << 62)


class EventSeries(msgspec.Struct, array_like=True, gc=False):
    """One event name: how often in all, when first and last (greatest t), and how often on each day in reach."""

    total: int
    first: int
    last: int
    days: dict[int, int]


class MeasureSeries(msgspec.Struct, array_like=True, gc=False):
    """One measure of one account."""

    days: dict[int, Any] = {}  # day -> what the day holds
    values: dict[str, list[int]] = {}  # unique: value -> days, ascending


class Account(msgspec.Struct, array_like=True):
    """State `S` of the contract's sections 1 and 2."""

    now: int = MINUS_INFINITY
    arrival: int = MINUS_INFINITY
    floor: int = MINUS_INFINITY  # the partition's clock when this account was last touched
    next_at: int = 1 << 62  # the next deadline
    sequence: int = 0
    first_seen: int = 1 << 62  # smallest t of any applied record
    total: int = 0  # activity applied so far
    last_active: int | None = None
    converted_at: int | None = None
    cancelled_at: int | None = None
    tie_cancelled: bool = False  # of equal billing times, the later record was the cancellation
    traits: dict[str, tuple[int, Any]] = {}  # key -> (t, value)
    events: dict[str, EventSeries] = {}
    activity: dict[int, int] = {}  # day -> events
    score: dict[int, int] = {}  # day -> thousandths
    users: dict[str, int] = {}  # user -> last active day
    teams: dict[str, int] = {}
    nps: dict[str, tuple[int, float]] = {}  # user -> (t, score)
    steps: dict[str, int] = {}  # checklist step -> done at
    sequences: dict[str, int] = {}  # pair -> greatest t of its second event
    measures: dict[str, MeasureSeries] = {}
    message_ids: dict[int, int] = {}  # hash -> arrival clock when it was taken, oldest first
    reported_day: int = MINUS_INFINITY  # day and sequence of the last membership record
    reported_sequence: int = 0
    ranks: tuple[int, ...] | None = None  # as of the latest thresholds
    members: dict[str, int] = {}  # segment -> entered at
    exits: dict[str, int] = {}  # segment -> last exit
    operation: int = 0  # the number of the last operation that this account was brought through

    def trait(self, key: str) -> Any:
        found = self.traits.get(key)
        return None if found is None else found[1]
