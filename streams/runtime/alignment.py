"""Partitions that catch up are kept together in time. Positions in, allowances out; nothing here reads a clock.

Theory of operation. Where records of one key are spread over partitions, reading each partition as fast as it goes
shuffles history: one partition is in May while another still is in March, and what comes out for a key jumps between
them. So two bounds hold while partitions have a backlog. Both compare *levels*: the level of a record is the greatest
arrival time (Kafka timestamp) in its partition up to and including it, for arrivals need not rise within a partition,
and never more than the wall clock's, so that one record from the future does not put its partition ahead for ever.

=========  =======================================  ===============================================================
bound      a partition hands out                    why
=========  =======================================  ===============================================================
lead       nothing, while its next record is more   dense history: reading on costs nothing but order, so the
           than the lead above the next record of   partitions are read side by side; a batch is not cut for it
           another partition
spread     no record more than the spread above     partitions are flushed side by side, so all that one flush may
           the oldest record that another           cover can come out in any order; this is what the output keeps
           partition has not committed              to, record by record. A flush is made at once when it is waited
                                                    for
=========  =======================================  ===============================================================

The partition that is furthest behind is held back by nobody, so something always moves. Whom the others wait for:

=========================================  ==========================================================================
another partition                          its floor
=========================================  ==========================================================================
has records that were fetched              the level of the next one (spread: of the oldest not committed)
has more, but none of it was fetched yet   the level it has reached, or nothing at all may pass before it is known:
                                           for ``PATIENCE_S``; a partition that cannot be read must not stop the rest,
                                           and from then on it is overlooked, which is counted
is at the end of its log                   none; but where history is read, for the spread, the level it has reached,
                                           for ``IDLE_S`` after its last record and after history began to come: who
                                           publishes history fills the partitions in turns
=========================================  ==========================================================================

*History* is what arrived more than ``HISTORY_MS`` ago. Who reads the present waits for no partition that is at its end.

What this cannot do: a worker aligns the partitions that it holds and knows nothing of another worker's, so history is
best read by one worker, or published by the key that matters. And levels never fall: history that is published behind
present records of the same partition is of the present, and is not aligned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

LEAD_MAX_MS: Final = 60_000
"""The engine's grace: what comes out of order by less moves nothing. Costs no throughput, so it is no setting."""
HISTORY_MS: Final = 300_000
PATIENCE_S: Final = 10.0
IDLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """How far the partitions of a stage may be apart."""

    spread_ms: int

    @property
    def lead_ms(self) -> int:
        return min(LEAD_MAX_MS, self.spread_ms)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one partition stands."""

    number: int
    next_ms: int | None
    """Level of the next record to hand out; ``None``: none has been fetched."""
    top_ms: int | None
    """Level of the last record that was fetched."""
    reached_ms: int | None
    """Level of the last record that was handed out; ``None``: none since delivery began."""
    uncommitted_ms: int | None
    """Level of the oldest record that was handed out and not committed."""
    at_end: bool
    """Nothing that can be read is left to hand out."""
    silent_s: float
    """Since it brought a record, or since history began to come."""
    awaited_s: float
    """Since it is known, or must be feared, to have more than it has brought."""


class Reason(StrEnum):
    """Why a partition may hand out what it may."""

    NOTHING = "nothing"
    """None of its records has been fetched."""
    FREE = "free"
    """Nobody it would have to wait for is behind it."""
    CUT = "cut"
    """Up to the spread; what is above waits."""
    AHEAD = "ahead"
    """Another partition's next record is older by more than the lead."""
    UNCOMMITTED = "uncommitted"
    """Another partition must commit first."""
    UNKNOWN = "unknown"
    """Another partition is about to say where it stands."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one partition may hand out: all records up to a level, if any."""

    number: int
    reason: Reason
    until_ms: float = -inf

    @property
    def passes(self) -> bool:
        return self.reason in {Reason.FREE, Reason.CUT}


def overlooked(place: Place) -> bool:
    """Say whether a partition has kept the others waiting for so long that they go on without it."""
    return place.next_ms is None and not place.at_end and place.awaited_s >= PATIENCE_S


def allowances(places: Sequence[Place], alignment: Alignment | None, now_ms: int) -> list[Allowance]:
    """Say for each partition what it may hand out, the one furthest behind first."""
    if alignment is None:
        return [_unaligned(place) for place in places]
    leads = _Floors([(_lead_floor(place), place.number) for place in places])
    spreads = _Floors([(_spread_floor(place), place.number) for place in places])
    waited = _Floors([(min(_spread_floor(place), _end_floor(place)), place.number) for place in places])
    by_age = sorted(places, key=lambda place: (inf if place.next_ms is None else place.next_ms, place.number))
    return [
        _allowance(
            place,
            alignment,
            leads.of_others(place),
            (waited if is_history(place, now_ms) else spreads).of_others(place),
        )
        for place in by_age
    ]


def is_history(place: Place, now_ms: int) -> bool:
    """Say whether the next record is of the past."""
    return place.next_ms is not None and place.next_ms < now_ms - HISTORY_MS


def _unaligned(place: Place) -> Allowance:
    return Allowance(place.number, Reason.NOTHING) if place.next_ms is None else _free(place)


def _free(place: Place) -> Allowance:
    return Allowance(place.number, Reason.FREE, inf)


def _allowance(place: Place, alignment: Alignment, lead_floor: float, spread_floor: float) -> Allowance:
    if place.next_ms is None or place.top_ms is None:
        return Allowance(place.number, Reason.NOTHING)
    if min(lead_floor, spread_floor) == -inf:
        return Allowance(place.number, Reason.UNKNOWN)
    if place.next_ms > lead_floor + alignment.lead_ms:
        return Allowance(place.number, Reason.AHEAD)
    until = spread_floor + alignment.spread_ms
    if place.next_ms > until:
        return Allowance(place.number, Reason.UNCOMMITTED)
    return _free(place) if place.top_ms <= until else Allowance(place.number, Reason.CUT, until)


def _lead_floor(place: Place) -> float:
    if place.next_ms is not None:
        return place.next_ms
    return inf if place.at_end or overlooked(place) else _reached(place)


def _spread_floor(place: Place) -> float:
    if place.uncommitted_ms is not None:
        return place.uncommitted_ms
    if place.next_ms is not None:
        return place.next_ms
    return inf if place.at_end or overlooked(place) else _reached(place)


def _end_floor(place: Place) -> float:
    return _reached(place) if place.at_end and place.silent_s < IDLE_S else inf


def _reached(place: Place) -> float:
    return -inf if place.reached_ms is None else place.reached_ms


class _Floors:
    """The lowest floor of all partitions but one: the two lowest are enough to know it."""

    def __init__(self, floors: list[tuple[float, int]]) -> None:
        self._lowest = sorted(floors)[:2]

    def of_others(self, place: Place) -> float:
        return next((floor for floor, number in self._lowest if number != place.number), inf)
