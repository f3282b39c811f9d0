"""One time-out for a delivery that takes several requests."""

import asyncio


class Deadline:
    """Begins when it is made, in the event loop."""

    def __init__(self, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._end_s = self._loop.time() + timeout_s

    @property
    def left_s(self) -> float:
        """What the next request may take; not less than nothing."""
        return max(0.0, self._end_s - self._loop.time())
