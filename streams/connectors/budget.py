"""The time of one delivery, shared by all requests that it takes."""

import time
from collections.abc import Callable
from typing import Final

WORTH_ASKING_S: Final = 0.05


class Budget:
    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end_s = clock() + seconds

    @property
    def left_s(self) -> float:
        return max(0.0, self._end_s - self._clock())

    def in_time(self) -> bool:
        """Whether another request is worth sending."""
        return self.left_s > WORTH_ASKING_S
