"""Where a changelog that is written without transactions ends well, and what to make of what comes after.

Theory of operation. Of a changelog written by ``acked.py`` everything up to the last position row that counts is the
state, and nothing after it is. ``Ending`` finds that row, reading the end of the log; then the whole log is read once,
as always, and ``Ending.admit`` says of each row whether it is the stage's.

What comes after the last row that counts was written by somebody whose flush did not come to its end: an owner that
crashed, or a zombie. These rows are ignored, but they are the newest of their keys, and compaction would keep them and
throw the good ones away. So the good ones are remembered on the way, and the new owner writes them again at once
(``repairs``): then they are the newest. Between such a row and the repair the topic's ``min.compaction.lag.ms`` keeps
the good row. Where it came too late that is seen: a row that was not to be, old enough to be compacted, of a key that
has no good row. Staged rows that nobody deleted go last (``leftovers``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import COMPACTION_LAG_MS
from streams.runtime.position import POSITION_KEY, STAGED_MARK, Position, Row, decode_position, unstaged
from streams.runtime.stage import InputRecord

REMEDY: Final = "compute the state anew from the log: pegel rebuild"
NOTHING_APPLIED: Final = Position(0)


@dataclass(slots=True)
class Ending:
    """The end of one changelog partition. ``look`` at its last records in order, then ``admit`` all of them."""

    position: Position = NOTHING_APPLIED
    offset: int = -1
    """Where the last position row that counts stands; -1 without one."""
    end: int = 0
    """Offset after the last record."""
    rejected: dict[bytes, int] = field(default_factory=dict)
    """Keys of the records after that row, with the newest timestamp."""
    _good: dict[bytes, bytes | None] = field(default_factory=dict)
    _staged: dict[bytes, None] = field(default_factory=dict)
    """Keys of staged rows that nobody deleted."""

    @property
    def found(self) -> bool:
        return self.offset >= 0

    def look(self, records: Iterable[InputRecord]) -> None:
        for record in records:
            key = record.key or POSITION_KEY
            if key == POSITION_KEY:
                position = decode_position(record.value)
                if position.stands_at(record.offset):
                    self.position, self.offset = position, record.offset
                    self.rejected.clear()
                    continue
            self.rejected[key] = record.timestamp

    def admit(self, records: Iterable[InputRecord]) -> Iterator[Row]:
        """Yield what is the stage's, in order; remember what is to be written again."""
        rejected, staged_from = self.rejected, self.position.staged
        for record in records:
            key, offset = record.key, record.offset
            if offset >= self.offset or not key:
                continue
            row = key, record.value
            if key[:1] == STAGED_MARK:
                if record.value is None:
                    self._staged.pop(key, None)
                    continue
                self._staged[key] = None
                if staged_from is None or offset < staged_from:
                    continue
                row = unstaged(record.value)
                self._good[row[0]] = row[1]
            elif key in rejected:
                self._good[key] = record.value
            yield row

    def repairs(self, now_ms: int) -> list[Row]:
        """Rows with which the next flush must begin, all records having been admitted; raise if some are lost."""
        self._require_nothing_lost(now_ms)
        gone = [key for key in self.rejected if key and key[:1] != STAGED_MARK and key not in self._good]
        return [*self._good.items(), *((key, None) for key in gone)]

    def leftovers(self) -> list[bytes]:
        """Keys of staged rows to delete once the repairs count: until then these may be the state."""
        return list({key: None for key in self.rejected if key[:1] == STAGED_MARK} | self._staged)

    def _require_nothing_lost(self, now_ms: int) -> None:
        rows = {key: stamp for key, stamp in self.rejected.items() if key and key[:1] != STAGED_MARK}
        if rows and not self.found:
            raise RuntimeFailure(
                "the changelog has rows but no position row that counts: it was copied from elsewhere or not repaired "
                f"within min.compaction.lag.ms; {REMEDY}"
            )
        too_old = now_ms - COMPACTION_LAG_MS
        if lost := sum(1 for key, stamp in rows.items() if stamp < too_old and key not in self._good):
            raise RuntimeFailure(
                f"{lost} rows of a flush that never ended are older than min.compaction.lag.ms, and the rows that they "
                f"replaced are gone: the state may be incomplete; {REMEDY}"
            )
