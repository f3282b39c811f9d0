"""One look by hand: every partition's account crosses in and out once, and that was it."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from streams.canary.accounts import ONCE
from streams.canary.session import Session
from streams.canary.watch import Rhythm, Verdict
from streams.settings import Settings

INTERVAL_S: Final = 0.2
CROSSINGS: Final = 2
BEGIN_S: Final = 30.0
"""How long there may be nothing to cross: no catalog yet, or none with a segment that can be crossed."""


class Looked:
    """A report that knows when all has been seen."""

    def __init__(self, tell: Callable[[Verdict], None]) -> None:
        self._tell = tell
        self._open: Counter[int] = Counter()
        self._began_s = time.monotonic()
        self._verdicts = 0

    def begun(self, partitions: int) -> None:
        self._open = Counter(dict.fromkeys(range(partitions), CROSSINGS))

    def at_work(self, *, up: bool) -> None:
        """Nobody asks."""

    def ended(self, verdict: Verdict) -> None:
        if self._open[verdict.partition]:
            self._open[verdict.partition] -= 1
            self._verdicts += 1
            self._tell(verdict)

    @property
    def idle(self) -> bool:
        """Whether nothing ever began."""
        return not self._verdicts

    def going_on(self) -> bool:
        return any(self._open.values())


def look(settings: Settings, run_id: str, tell: Callable[[Verdict], None]) -> bool:
    """Whether every crossing could be tried; each is told as it ends. Raises `ExpectedError`."""
    rhythm = Rhythm(INTERVAL_S, settings.canary.timeout_s)
    report = Looked(tell)
    give_up_s = time.monotonic() + BEGIN_S + settings.canary.timeout_s

    def going_on() -> bool:
        return report.going_on() and not (report.idle and time.monotonic() > give_up_s)

    Session(settings, ONCE, run_id, rhythm, report).run(going_on)
    return not report.going_on()
