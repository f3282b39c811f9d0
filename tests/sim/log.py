"""A partition's log as a broker keeps it: offsets that markers take too, open and aborted transactions, the stable end.

Offsets are list positions. A compacted record leaves ``None`` behind. Batches are numbered by their producer, so that a
batch that is sent again is known again; an epoch older than the newest that was seen here is refused.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced


@dataclass(slots=True)
class Entry:
    """A record, or the marker that ended a transaction. Looks like a fetched record to a stage."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]] = ()
    producer: int | None = None
    is_marker: bool = False
    is_aborted: bool = False


@dataclass(slots=True)
class Numbering:
    epoch: int
    next: int = 0
    bases: dict[int, int] = field(default_factory=dict)
    """Where each batch came to stand."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(slots=True)
class PartitionLog:
    entries: list[Entry | None] = field(default_factory=list)
    open: dict[int, int] = field(default_factory=dict)
    """First offset of each producer's open transaction."""
    sequences: dict[int, Numbering] = field(default_factory=dict)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """Fetches that wait for records."""

    @property
    def end(self) -> int:
        return len(self.entries)

    @property
    def stable_end(self) -> int:
        return min(self.open.values()) if self.open else len(self.entries)

    def append(
        self,
        records: Sequence[NewRecord],
        producer: int | None = None,
        epoch: int = 0,
        number: int = 0,
        *,
        transactional: bool = True,
    ) -> int:
        """Append a batch; return its first offset."""
        base = self.end
        if producer is not None:
            known = self.sequences.setdefault(producer, Numbering(epoch))
            if epoch < known.epoch:
                raise ProducerFenced
            if epoch > known.epoch:
                known.epoch, known.next = epoch, 0
            if number < known.next:
                return known.bases[number]  # came a second time: acknowledged again, not appended
            if number > known.next:
                raise OutOfOrderSequenceNumber
            known.bases[known.next] = base
            known.next += 1
            if transactional:
                self.open.setdefault(producer, base)
        for offset, record in enumerate(records, base):
            self.entries.append(Entry(offset, record.key, record.value, record.timestamp, record.headers, producer))
        if producer is None or not transactional:
            self._wake()
        return base

    def mark(self, producer: int, epoch: int, *, committed: bool) -> None:
        """End a producer's transaction here."""
        known = self.sequences.setdefault(producer, Numbering(epoch))
        if epoch > known.epoch:
            known.epoch, known.next = epoch, 0
        first = self.open.pop(producer, None)
        if first is not None and not committed:
            for entry in self.entries[first:]:
                if entry is not None and entry.producer == producer and not entry.is_marker:
                    entry.is_aborted = True
        self.entries.append(Entry(self.end, None, None, 0, (), producer, is_marker=True))
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def read(self, start: int, records_max: int) -> tuple[list[Entry], int]:
        """Return committed records from ``start`` on, and where the reader stands then."""
        found: list[Entry] = []
        stable = self.stable_end
        for entry in self.entries[start:stable]:
            if entry is None or entry.is_marker or entry.is_aborted:
                continue
            found.append(entry)
            if len(found) == records_max:
                return found, entry.offset + 1
        return found, max(start, stable)

    def committed(self) -> list[Entry]:
        return self.read(0, self.end + 1)[0]

    def compact(self) -> None:
        """Keep the last committed record of each key, below the stable end."""
        last: dict[bytes | None, int] = {}
        for entry in self.entries[: self.stable_end]:
            if entry is not None and not entry.is_marker and not entry.is_aborted:
                last[entry.key] = entry.offset
        keep = set(last.values())
        for offset, entry in enumerate(self.entries[: self.stable_end]):
            if entry is not None and not entry.is_marker and offset not in keep:
                self.entries[offset] = None
