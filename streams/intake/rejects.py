"""When so much is refused that refusing on would be the worse answer.

Single bad records are dead-lettered and life goes on. If most records are bad, a producer was deployed wrong, or
the rules of acceptance were: then waiting loses nothing, while a dead-letter topic full of good customers' events
has to be sorted out by hand. So the worker stops once more than a given share of the last records was refused.

The window outlives the worker (it is a row of the changelog): a supervisor that restarts it again and again would
otherwise let a few hundred bad records through with each start.
"""

import struct
from collections import deque
from typing import Final

from streams.errors import ExpectedError

_UNSIGNED: Final = ">%dI"
_NUMBER_BYTES: Final = 4


class RejectRatioExceededError(ExpectedError):
    """Too many records are refused. The text is for the operator."""


class RejectWindow:
    """Which of the last `size` records were refused.

    Only refusals are kept, by the running number of their record; an accepted record costs one addition.
    """

    def __init__(self, size: int, ratio_max: float) -> None:
        self._size = size
        self._rejected_max = ratio_max * size
        self._ratio_max = ratio_max
        self._seen = 0
        self._rejected: deque[int] = deque()

    def accept(self, records: int = 1) -> None:
        self._seen += records

    def reject(self, reason: str) -> None:
        """Count a refusal; raises `RejectRatioExceededError` if it is one too many."""
        self._seen += 1
        self._rejected.append(self._seen)
        self._forget_old()
        if len(self._rejected) > self._rejected_max:
            raise RejectRatioExceededError(
                f"{len(self._rejected)} of the last {self._size} records were refused, more than "
                f"{self._ratio_max:.0%}; the last one: {reason}. Nothing of the last batch was written. "
                "Mend the producer or the rule, or dead-letter them all with PEGEL_INTAKE__REJECT_RATIO_MAX=1"
            )

    @property
    def quiet(self) -> bool:
        """Whether none of the last records was refused."""
        self._forget_old()
        return not self._rejected

    def encode(self) -> bytes:
        """The window as a row: how many records ago each refusal was."""
        self._forget_old()
        ages = [self._seen - number for number in self._rejected]
        return struct.pack(_UNSIGNED % len(ages), *ages)

    def restore(self, row: bytes) -> None:
        """Take back what `encode` wrote, perhaps under another size."""
        ages = struct.unpack(_UNSIGNED % (len(row) // _NUMBER_BYTES), row)
        self._seen = self._size
        self._rejected = deque(self._seen - age for age in ages if age < self._size)

    def _forget_old(self) -> None:
        while self._rejected and self._rejected[0] <= self._seen - self._size:
            self._rejected.popleft()
