"""What is open at one destination: the first so many in memory, all of it in the changelog.

Theory of operation. Deliveries have an `order`, in which they were opened. The first `window_max` are in memory and at
the desk; with more, what comes later is *spilled*: it gets its row and is forgotten. When the window has drained to a
quarter, the changelog is read (by the stage, in the background) for the next ones, and they are taken in. So a
destination that is dead for days, or slower than what it is told, costs a bounded amount of memory, holds back nobody
else's input, and loses nothing.

    memory      [ window: orders below `spilled_from` ]
    changelog   [ rows of the window, as of the last flush ][ rows of what is spilled: `spilled_from` to `until` ]

While anything is spilled, whatever is opened is spilled too, or it would overtake. The row `s:` names `until` and is
written in the flush of the rows it counts. A reading that has seen this very row has seen all that is spilled, however
late the commit of a flush became visible; only then the spill is over. What is read is tried in order, so an account's
messages keep theirs.

A delivery is dropped while spilled by a tombstone for its row, and by remembering the id until the spill is over, for
a reading may be under way.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from streams.notify.courier.rows import Kind, SpillRow, encode, encode_delivery, key_of
from streams.notify.plan.delivery import Delivery

WINDOW_MAX: Final = 4_000
WINDOWS_MAX: Final = 20_000
"""In the windows of all destinations of a worker together."""
WINDOW_MIN: Final = 200
SPILLED_MAX: Final = 1_000_000
"""Spilled at one destination; what is more becomes a dead letter."""
DROPPED_MAX: Final = 10_000


def window_max(destinations: int) -> int:
    """How many deliveries each of so many destinations may keep in memory."""
    return max(WINDOW_MIN, min(WINDOW_MAX, WINDOWS_MAX // max(1, destinations)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reading of the changelog is to bring: the first `most` deliveries from an order on."""

    destination: str
    from_order: int
    most: int


@dataclass(frozen=True, slots=True)
class Found:
    """What it brought. `until`: as the row `s:` said that was read."""

    deliveries: tuple[Delivery, ...]
    more: int
    """About how many rows follow."""
    complete: bool
    """Nothing follows, as far as the log could be read."""
    until: int | None


@dataclass(slots=True)
class Spill:
    """`count` is exact up to what was read and opened meanwhile: good enough for a gauge."""

    from_order: int
    until: int
    count: int


class Outbox:
    def __init__(self, destination: str, *, keeps_words: bool, window: int = WINDOW_MAX) -> None:
        self._destination = destination
        self._keeps_words = keeps_words
        self._window = window
        self._open: dict[str, Delivery] = {}
        self._rows: set[str] = set()
        """Of what is in the window: which have a row."""
        self._changed: dict[str, None] = {}
        """Deliveries whose row no longer says how they stand."""
        self._spilling: dict[str, bytes] = {}
        """Spilled since the last flush."""
        self._dropped: set[str] = set()
        self._forgotten: set[str] = set()
        """Accounts of which nothing that is spilled by now shall be told."""
        self._spill: Spill | None = None
        self._spill_changed = False
        self._next_order = 0
        self._own_from = 0
        """What stands before was opened by another worker, which may have attempted it."""

    def __len__(self) -> int:
        return len(self._open) + (self._spill.count if self._spill is not None else 0)

    @property
    def in_memory(self) -> int:
        return len(self._open)

    @property
    def next_order(self) -> int:
        return self._next_order

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._open

    def get(self, delivery_id: str) -> Delivery | None:
        return self._open.get(delivery_id)

    def __iter__(self) -> Iterator[Delivery]:
        """The window, in order."""
        return iter(self._open.values())

    @property
    def oldest_ms(self) -> int | None:
        """When the delivery that has waited longest was planned."""
        return next((one.planned_at_ms for one in self._open.values()), None)

    @property
    def full(self) -> bool:
        """Whether it must not take any more."""
        return self._spill is not None and self._spill.count >= SPILLED_MAX

    @property
    def unwritten(self) -> int:
        return len(self._spilling) + len(self._changed)

    # -- deliveries --------------------------------------------------------------------------------------------------

    def add(self, delivery: Delivery) -> Delivery | None:
        """Take a new delivery. Returns it with its place, to be offered; None if it was spilled."""
        delivery = replace(delivery, order=self._next_order)
        self._next_order += 1
        if self._spill is None and len(self._open) < self._window:
            self._open[delivery.delivery_id] = delivery
            self._changed[delivery.delivery_id] = None
            return delivery
        if self._spill is None:
            self._spill = Spill(delivery.order, delivery.order, 0)
        self._spill.until = delivery.order
        self._spill.count += 1
        self._spill_changed = True
        self._spilling[delivery.delivery_id] = encode_delivery(delivery, with_words=False)
        return None

    def update(self, delivery: Delivery) -> None:
        """It stands otherwise now."""
        self._open[delivery.delivery_id] = delivery
        self._changed[delivery.delivery_id] = None

    def close(self, delivery_id: str) -> None:
        """It is settled."""
        del self._open[delivery_id]
        self._changed[delivery_id] = None

    def drop_spilled(self, delivery_id: str) -> bool:
        """Forget a delivery that is not in the window, if there is one; False if none is spilled."""
        if self._spill is None or len(self._dropped) >= DROPPED_MAX:
            return False
        self._dropped.add(delivery_id)
        self._spilling.pop(delivery_id, None)
        self._changed[delivery_id] = None
        self._rows.add(delivery_id)
        return True

    def forget_spilled(self, account: str) -> None:
        """Have nothing of what is spilled about an account come back."""
        if self._spill is not None:
            self._forgotten.add(account)

    # -- the changelog -----------------------------------------------------------------------------------------------

    def dirty(self) -> bool:
        return bool(self._changed or self._spilling or self._spill_changed)

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Rows that are to be written now."""
        for name in self._changed:
            delivery = self._open.get(name)
            if delivery is not None:
                yield self._key(name), encode_delivery(delivery, with_words=self._keeps_words)
                self._rows.add(name)
            elif name in self._rows:
                yield self._key(name), None
                self._rows.remove(name)
        for name, row in self._spilling.items():
            yield self._key(name), row
        if self._spill_changed:
            spill = None if self._spill is None else encode(SpillRow(self._spill.until))
            yield key_of(Kind.SPILL, self._destination), spill
        self._changed, self._spilling, self._spill_changed = {}, {}, False

    def wanted(self) -> Wanted | None:
        """What should be read from the changelog now."""
        if self._spill is None or 4 * len(self._open) > self._window:
            return None
        return Wanted(self._destination, self._spill.from_order, self._window - len(self._open))

    def take_in(self, found: Found) -> list[Delivery]:
        """Take what a reading has brought. Returns what is to be offered."""
        spill = self._spill
        assert spill is not None
        taken = [one for one in found.deliveries if one.order >= spill.from_order]
        for delivery in taken:
            spill.from_order = delivery.order + 1
            self._rows.add(delivery.delivery_id)
            if delivery.news.account_id in self._forgotten:
                self._changed[delivery.delivery_id] = None
            elif delivery.delivery_id not in self._dropped:
                self._open[delivery.delivery_id] = replace(
                    delivery, unsure=delivery.unsure or delivery.order < self._own_from
                )
        spill.count = found.more + spill.until - (spill.until if found.until is None else found.until)
        if found.complete and found.until == spill.until:
            self._spill, self._spill_changed = None, True
            self._dropped.clear()
            self._forgotten.clear()
        return [self._open[one.delivery_id] for one in taken if one.delivery_id in self._open]

    def restore(self, restored: "Restored") -> None:
        """Begin with what the changelog held."""
        for delivery in sorted(restored.deliveries, key=lambda one: one.order):
            # Whoever had it before may have been about to send it when it ended.
            self._open[delivery.delivery_id] = replace(delivery, unsure=True)
            self._rows.add(delivery.delivery_id)
        until = -1 if restored.spilled_until is None else restored.spilled_until
        last = max(until, restored.last_order)
        if restored.evicted_from is not None:
            self._spill = Spill(restored.evicted_from, last, restored.evicted)
        # What was spilled may have found room by now, or found none with a smaller window.
        self._spill_changed = restored.spilled_until != (None if self._spill is None else last)
        self._next_order = self._own_from = last + 1

    def reserve(self, order: int) -> None:
        """Begin no order below this one."""
        self._next_order = max(self._next_order, order)

    def _key(self, delivery_id: str) -> bytes:
        return key_of(Kind.DELIVERY, self._destination, delivery_id)


@dataclass(frozen=True, slots=True)
class Restored:
    """One destination's rows: the first ones, and from where on there are more."""

    deliveries: tuple[Delivery, ...]
    last_order: int = -1
    evicted_from: int | None = None
    evicted: int = 0
    spilled_until: int | None = None


class First:
    """Keeps the first rows by order out of a log of rows, whatever comes; bounded.

    A row once evicted is not known any more, so nothing that comes after it in the order may be kept from then on.
    """

    def __init__(self, most: int, from_order: int = 0) -> None:
        self._most = most
        self._from = from_order
        self._rows: dict[str, tuple[int, bytes]] = {}
        self._heap: list[tuple[int, str]] = []
        """Of negated orders: the last one first. An entry that its row no longer agrees with is void."""
        self.evicted_from: int | None = None
        self.evicted = 0
        self.last_order = -1

    def put(self, name: str, order: int, row: bytes) -> None:
        """A row, of which there may have been an earlier version."""
        self.last_order = max(self.last_order, order)
        if order < self._from:
            return
        if self.evicted_from is not None and order >= self.evicted_from:
            self.evicted += 1
            self._rows.pop(name, None)
            return
        if name not in self._rows or self._rows[name][0] != order:
            heapq.heappush(self._heap, (-order, name))
        self._rows[name] = (order, row)
        while len(self._rows) > self._most:
            self._evict()

    def remove(self, name: str) -> None:
        """A tombstone."""
        self._rows.pop(name, None)

    def rows(self) -> Iterable[tuple[str, bytes]]:
        """In order."""
        return [(name, row) for name, (_, row) in sorted(self._rows.items(), key=lambda one: one[1][0])]

    def __len__(self) -> int:
        return len(self._rows)

    def _evict(self) -> None:
        order, name = heapq.heappop(self._heap)
        known = self._rows.get(name)
        if known is not None and known[0] == -order:
            del self._rows[name]
            self.evicted_from = min(-order, self.evicted_from if self.evicted_from is not None else -order)
            self.evicted += 1
