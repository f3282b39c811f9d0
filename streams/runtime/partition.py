"""One input partition in a worker's hands: its stage, and how far it has come.

Theory of operation. Fetched records travel as batches through Faust's queues to the agent. Nothing of that way is
trusted: every batch carries the epoch in which it was fetched and a running number, and ``take`` decides before a
record reaches the stage:

===============================  =======  ======================================================================
batch                            verdict  why
===============================  =======  ======================================================================
of another epoch                 STALE    fetched before a rebalance; it is fetched again from the seek position
number is the next one           APPLIED  records below ``next`` are skipped: they are in the state already
any other number                 (raise)  a batch was lost or came twice on the way: state would be wrong, fail stop
===============================  =======  ======================================================================

What is fetched stands on a shelf until it may go on (``delivery.py``): a stage can ask that its partitions stay
together in time. A batch is what leaves the shelf at once.

The same is proven for what never became a batch: every fetch must begin at the position where the one before ended
(``observe``). Offsets cannot show that, for they have gaps; positions have none.

``next`` is the only truth about progress: every record below it was applied. What may be committed is what the stage
makes of it (``Stage.position``), read together with ``Stage.drain`` without an await in between.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from operator import attrgetter
from typing import Final

from streams.runtime.alignment import Place
from streams.runtime.failure import RuntimeFailure
from streams.runtime.shelf import Shelf
from streams.runtime.stage import InputRecord, Stage, is_pressing
from streams.runtime.transaction import Transaction, Watching, Writer

BATCHES_UNDER_WAY_MAX: Final = 2
"""Handed out but not yet applied, per partition: keeps the agent busy, and bounds what a saturated stage still gets."""
SAMPLES_MAX: Final = 8
"""Records of a flush whose age at its commit is measured, where the stage itself says nothing."""

offset_of = attrgetter("offset")


class Verdict(StrEnum):
    APPLIED = "applied"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition."""

    partition: int
    epoch: int
    number: int
    records: Sequence[InputRecord]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one fetch moved the consumer in a partition.

    The position runs past transaction markers, which are no records; ``Partition.next`` does not.
    """

    read_from: int | None
    read_to: int
    visible_end: int
    heard_at: int | None


class Partition:
    """State of one assigned partition. Lives in the event loop's thread."""

    def __init__(self, number: int, stage: Stage, writer: Writer) -> None:
        self.number = number
        self.stage = stage
        self.writer = writer
        self._watch = writer.applying if isinstance(writer, Watching) else None
        self.next = 0
        self.committed = 0
        self.active = False
        """Loaded, sought and in the current assignment: may fetch, tick and flush by timer."""
        self.retired = False
        """Given away: nothing may be flushed any more."""
        self.records_applied = 0
        self.flushing = asyncio.Lock()
        self.work = asyncio.Event()
        """Set when a flush might find something."""
        self.hurry = asyncio.Event()
        """Set when something waits for a flush that others wait for."""
        self.flush_started_at = 0.0
        self.flush_took_s = 0.0
        self.flush_waits_since: float | None = None
        self._epoch = -1
        self._given_out = 0
        self._taken = 0
        self._read_to: int | None = None
        self._visible_end: int | None = None
        self.heard_at: int | None = None
        """When the broker answered a fetch for this partition last (its value only tells two answers apart)."""
        self.saturated = False
        """Back-pressure, as of the last fetch."""
        self.waits_for_others = False
        """What it has on the shelf must not go on before other partitions did, as of the last release."""
        self.times_overlooked = 0
        """Times that others no longer waited for it."""
        self._shelf = Shelf()
        self._under_way_ms: deque[int] = deque()
        """Of the batches under way: the timestamp of the first record."""
        self._applied_ms: int | None = None
        """Timestamp of the last record that was applied."""
        self._samples: deque[tuple[int, int]] = deque()
        """Offset and timestamp of some records that were applied and not committed: the first and last of batches."""
        self._silent_since: float | None = None
        self._awaited_since: float | None = None

    # -- delivery ------------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> None:
        """Start a new chain of batches; what is under way is void."""
        self._epoch = epoch
        self._given_out = self._taken = 0
        self._read_to, self._visible_end = self.next, None
        self._shelf.clear()
        self._under_way_ms.clear()
        self._silent_since = self._awaited_since = None
        self.waits_for_others = False

    def hold(self, records: Sequence[InputRecord], now_ms: int) -> None:
        """Put fetched records on the shelf, which is empty: otherwise none were wanted."""
        self._shelf.fill(records, now_ms)

    def release(self, until_ms: float = inf) -> Batch:
        """Hand out what is on the shelf, up to a level; there must be something."""
        records = self._shelf.take(until_ms)
        assert records, "nothing may be handed out"
        self._silent_since = self._awaited_since = None
        self._given_out += 1
        self._under_way_ms.append(records[0].timestamp)
        return Batch(self.number, self._epoch, self._given_out, records)

    def place(self, now_s: float) -> Place:
        """Say where the partition stands among others."""
        shelf = self._shelf
        if self._silent_since is None:
            self._silent_since = now_s
        if self._awaited_since is None or self._at_end():
            self._awaited_since = now_s
        return Place(
            self.number,
            shelf.next_ms,
            shelf.top_ms,
            shelf.reached_ms,
            shelf.uncommitted_ms(self.committed),
            self._at_end(),
            now_s - self._silent_since,
            now_s - self._awaited_since,
        )

    def _at_end(self) -> bool:
        known = self._read_to is not None and self._visible_end is not None
        return known and not self._shelf and self._read_to >= self._visible_end  # type: ignore[operator]

    @property
    def records_held(self) -> int:
        """Fetched, not handed out."""
        return len(self._shelf)

    @property
    def held_back(self) -> bool:
        """Say whether it stands still for a good reason, so that nobody must be alarmed."""
        return self.saturated or self.waits_for_others

    @property
    def under_way(self) -> int:
        return self._given_out - self._taken

    def has_room(self) -> bool:
        return self.under_way < BATCHES_UNDER_WAY_MAX

    def wants_records(self) -> bool:
        self.saturated = self.stage.saturated()
        return self.active and self.has_room() and not self.saturated and not self._shelf

    def take(self, batch: Batch) -> Verdict:
        """Let the stage apply a batch, unless it is void."""
        if batch.epoch != self._epoch or not self.active:
            return Verdict.STALE
        if batch.number != self._taken + 1:
            raise RuntimeFailure(
                f"partition {self.number}: batch {batch.number} came after {self._taken}; one was lost or repeated"
            )
        self._taken = batch.number
        self._under_way_ms.popleft()
        records = batch.records
        if records and records[0].offset < self.next:
            records = records[bisect_left(records, self.next, key=offset_of) :]
        if records:
            if self._watch is not None:
                self._watch(records)
            self.stage.apply(records)
            self.next = records[-1].offset + 1
            self.records_applied += len(records)
            self._applied_ms = records[-1].timestamp
            if len(self._samples) < SAMPLES_MAX:
                self._samples += ((one.offset, one.timestamp) for one in (records[0], records[-1]))
        self.has_work()
        return Verdict.APPLIED

    # -- where the log stands --------------------------------------------------------------------------------------

    def observe(self, standing: Standing) -> None:
        """Note where the consumer stands. Each fetch must begin where the one before ended."""
        if standing.read_from != self._read_to:
            raise RuntimeFailure(
                f"partition {self.number}: read to {self._read_to}, but the next fetch began at {standing.read_from}; "
                "a fetch was lost, or the log was cut at either end"
            )
        self._read_to, self._visible_end, self.heard_at = standing.read_to, standing.visible_end, standing.heard_at

    def lag(self) -> int | None:
        """Records (and markers) that can be read but were not applied; ``None`` before the first fetch."""
        if self._read_to is None or self._visible_end is None:
            return None
        applied_to = self._read_to if self.under_way == 0 and not self._shelf else self.next
        return max(0, self._visible_end - applied_to)

    def lag_ms(self, now_ms: int) -> int:
        """Age of the oldest record that can be read but was not applied; 0 if there is none.

        Of a record that was not fetched yet only this is known: it is no older than the last one that was applied.
        """
        if not self.lag():
            return 0
        oldest = self._under_way_ms[0] if self._under_way_ms else self._shelf.next_ms if self._shelf else None
        oldest = self._applied_ms if oldest is None else oldest
        return 0 if oldest is None else max(0, now_ms - oldest)

    def caught_up(self) -> bool:
        return self.lag() == 0

    # -- flush -----------------------------------------------------------------------------------------------------

    def has_work(self) -> None:
        """A flush might find something."""
        self.work.set()
        if is_pressing(self.stage) and self.stage.pressing():
            self.hurry.set()

    def moved(self) -> bool:
        return self.stage.position(self.next) != self.committed

    def capture(self) -> Transaction | None:
        """Everything that the next flush must write, or ``None``. Must not await: output, state and offset are one."""
        position = self.stage.position(self.next)
        if position > self.next or position < self.committed:
            raise RuntimeFailure(
                f"partition {self.number}: the stage would commit {position}, "
                f"not between {self.committed} (committed) and {self.next} (applied)"
            )
        drained = self.stage.drain()
        if not drained.outputs and not drained.changes and position == self.committed:
            return None
        samples = self._take_samples(position)
        if drained.fresh is not None:
            return Transaction(drained.outputs, drained.changes, position, drained.fresh, drained.spans)
        led_to_nothing = not drained.outputs and not drained.changes
        fresh = () if led_to_nothing else samples
        return Transaction(drained.outputs, drained.changes, position, fresh, drained.spans)

    def _take_samples(self, position: int) -> list[tuple[int, None]]:
        """The timestamps of the sampled records below a position."""
        samples: list[tuple[int, None]] = []
        while self._samples and self._samples[0][0] < position:
            samples.append((self._samples.popleft()[1], None))
        return samples
