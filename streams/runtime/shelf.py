"""Records of one partition that were fetched and not yet handed out, and how old they are.

Theory of operation. A shelf is filled by a fetch when it is empty and never otherwise, so it holds one fetch at most.
Records leave in order, in pieces that end at a level (see ``alignment.py``); what has left is remembered, by piece,
until it is committed.
"""

from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from streams.runtime.stage import InputRecord

timestamp_of = attrgetter("timestamp")


class Shelf:
    def __init__(self) -> None:
        self._records: Sequence[InputRecord] = ()
        self._begin = 0
        self._now_ms = 0
        """When the records came: no level is above it."""
        self._pieces: deque[tuple[int, int]] = deque()
        """Last offset and first level of what has left and is not known to be committed."""
        self.next_ms: int | None = None
        self.top_ms: int | None = None
        self.reached_ms: int | None = None

    def __len__(self) -> int:
        return len(self._records) - self._begin

    def clear(self) -> None:
        """Forget everything: delivery begins anew."""
        self._records, self._begin = (), 0
        self._pieces.clear()
        self.next_ms = self.top_ms = self.reached_ms = None

    def fill(self, records: Sequence[InputRecord], now_ms: int) -> None:
        assert not self, "a shelf is filled only when it is empty"
        assert records, "a fetch without records fills nothing"
        self._records, self._begin, self._now_ms = records, 0, now_ms
        self.next_ms = self._level(records[0])
        self.top_ms = max(self.next_ms, min(now_ms, max(map(timestamp_of, records))))

    def take(self, until_ms: float) -> Sequence[InputRecord]:
        """Take the records up to a level; may be none."""
        if self.next_ms is None or self.top_ms is None or self.next_ms > until_ms:
            return ()
        if self.top_ms <= until_ms:
            taken = self._records[self._begin :] if self._begin else self._records
            reached, self._records, self._begin = self.top_ms, (), 0
        else:
            end = next(
                index for index in range(self._begin, len(self._records)) if self._records[index].timestamp > until_ms
            )
            taken = self._records[self._begin : end]
            reached, self._begin = max(self.next_ms, *map(timestamp_of, taken)), end
        self._pieces.append((taken[-1].offset, self.next_ms))
        self.reached_ms = reached
        self.next_ms = self._level(self._records[self._begin]) if self else None
        return taken

    def _level(self, record: InputRecord) -> int:
        level = min(record.timestamp, self._now_ms)
        return level if self.reached_ms is None else max(level, self.reached_ms)

    def uncommitted_ms(self, committed: int) -> int | None:
        """Level of the oldest record that has left and lies at ``committed`` or above."""
        pieces = self._pieces
        while pieces and pieces[0][0] < committed:
            pieces.popleft()
        return pieces[0][1] if pieces else None
