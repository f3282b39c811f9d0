"""When so much is refused that refusing on would be the worse answer.

Single bad records are dead-lettered and life goes on. If most records are bad, a producer was deployed wrong, or
the rules of acceptance were: then waiting loses nothing, while a dead-letter topic full of good customers' events
has to be sorted out by hand. So the worker stops once more than a given share of the last records was refused.

The window outlives the worker (it is a row of the changelog): a supervisor that restarts it again and again would
otherwise let a few hundred bad records through with each start.
"""

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from streams.runtime.stage import StageFailure

_UNSIGNED: Final = ">%dI"
_NUMBER_BYTES: Final = 4


class RejectRatioExceededError(StageFailure):
    """Too many records are refused. The text is for the operator: the worker logs it and ends."""


@dataclass(frozen=True, slots=True)
class RejectLimits:
    """How large a share may be refused, over how many records, and which setting says so."""

    sample: int
    ratio_max: float
    setting: str


UNLIMITED: Final = RejectLimits(1, 1.0, "nothing")
"""For what reads a log again: its records were judged once."""


class RejectWindow:
    """Which of the last records were refused.

    Only refusals are kept, by the running number of their record; an accepted record costs one addition.
    """

    def __init__(self, limits: RejectLimits) -> None:
        self._limits = limits
        self._size = limits.sample
        self._rejected_max = limits.ratio_max * limits.sample
        self._seen = 0
        self._rejected: deque[int] = deque()
        self.moved = False
        """Whether the row has to be written again: it ages while anything is in it."""

    def accept(self, records: int = 1) -> None:
        self._seen += records
        self.moved = self.moved or bool(self._rejected)

    def reject(self, reason: str) -> None:
        """Count a refusal; raises `RejectRatioExceededError` if it is one too many."""
        self._seen += 1
        self._rejected.append(self._seen)
        self.moved = True
        self._forget_old()
        if len(self._rejected) > self._rejected_max:
            raise RejectRatioExceededError(
                f"{len(self._rejected)} of the last {self._size} records were refused, more than "
                f"{self._limits.ratio_max:.0%}; the last one: {reason}. Nothing of the last batch was written. "
                f"Mend the producer or the rule, or dead-letter them all with {self._limits.setting}=1"
            )

    def changes(self, key: bytes) -> list[tuple[bytes, bytes | None]]:
        """The changelog row since the last call, if there is one; a tombstone once nothing is refused any more."""
        if not self.moved:
            return []
        self.moved = False
        return [(key, self.encode() or None)]

    def encode(self) -> bytes:
        """The window as a row: how many records ago each refusal was."""
        self._forget_old()
        ages = [self._seen - number for number in self._rejected]
        return struct.pack(_UNSIGNED % len(ages), *ages)

    def restore(self, row: bytes | None) -> None:
        """Take back what `encode` wrote, perhaps under another size."""
        ages = struct.unpack(_UNSIGNED % (len(row or b"") // _NUMBER_BYTES), row or b"")
        self._seen = self._size
        self._rejected = deque(self._seen - age for age in ages if age < self._size)

    def _forget_old(self) -> None:
        while self._rejected and self._rejected[0] <= self._seen - self._size:
            self._rejected.popleft()
