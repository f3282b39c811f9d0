"""One time-out for a delivery that takes several requests."""

import asyncio
from typing import Final

WORTH_ASKING_S: Final = 0.05


class Deadline:
    """Begins when it is made, in the event loop."""

    def __init__(self, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._end_s = self._loop.time() + timeout_s

    @property
    def left_s(self) -> float:
        """What the next request may take; not less than nothing."""
        return max(0.0, self._end_s - self._loop.time())

    def in_time(self) -> bool:
        """Whether another request is worth sending."""
        return self.left_s > WORTH_ASKING_S
