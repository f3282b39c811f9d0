"""Signs of life, written by the event loop and read by the watchdog's thread.

Plain numbers that only grow: no locks are needed to read them, and a thread can do so while the loop hangs.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

BEAT_S: Final = 0.5


class Vitals:
    def __init__(
        self, note_delay: Callable[[float], None] = lambda _: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`note_delay` is told, at each beat, how much later than it should the loop came back to it."""
        self._note_delay = note_delay
        self._clock = clock
        self.beats = 0
        """Turns of the event loop."""
        self.polls = 0
        """Fetches that came back from the consumer's thread, with or without records."""

    def polled(self) -> None:
        self.polls += 1

    async def beat(self) -> None:
        """Beat for ever."""
        while True:
            self.beats += 1
            began = self._clock()
            await asyncio.sleep(BEAT_S)
            self._note_delay(max(0.0, self._clock() - began - BEAT_S))
