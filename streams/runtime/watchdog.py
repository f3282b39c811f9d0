"""Ends a worker that lives but does not work.

Theory of operation. A thread looks once a second at a few numbers. Each rule names what must move while a condition
holds; when it has stood still for a given number of looks *in a row*, the process is ended at once, hard: what hangs
cannot be trusted to stop in order, and a restart resumes from what was committed. Looks are counted instead of reading
a clock, so that a machine that was suspended, or a process that was stopped, is not taken for one that hangs.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from streams.runtime.failure import EXIT_FAILED, FailReason

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """``progress`` must change within ``looks_max`` looks while ``applies`` says so."""

    reason: FailReason
    looks_max: int
    applies: Callable[[], bool]
    progress: Callable[[], object]


class Vigil:
    """One rule over time. Pure: whoever looks is the clock."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._last: object = None
        self._still = 0

    def broken(self) -> bool:
        """Look once."""
        if not self.rule.applies():
            self._still = 0
            return False
        progress = self.rule.progress()
        self._still = self._still + 1 if progress == self._last else 0
        self._last = progress
        return self._still >= self.rule.looks_max


def end_process(reason: FailReason) -> None:
    """End at once. Buffers of the log are written; nothing else is saved."""
    log.critical("worker stops (%s): no sign of progress; ending hard", reason.value)
    logging.shutdown()
    os._exit(EXIT_FAILED)


class Watchdog:
    """The thread."""

    def __init__(self, rules: Sequence[Rule], end: Callable[[FailReason], None] = end_process) -> None:
        self._vigils = [Vigil(rule) for rule in rules]
        self._end = end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_S):
            for vigil in self._vigils:
                if vigil.broken():
                    self._end(vigil.rule.reason)
                    return


def end_after(seconds: float, reason: FailReason, exit_code: int = EXIT_FAILED) -> threading.Timer:
    """Arm a last resort: the process ends then, whatever hangs. Cancel the timer when the stop came through."""

    def end() -> None:
        log.critical("worker stops (%s): did not stop within %.0f s; ending hard", reason.value, seconds)
        logging.shutdown()
        os._exit(exit_code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


def stands_since(started_at: float | None, seconds: float) -> bool:
    """Say whether something that began at ``started_at`` (monotonic) has taken longer than ``seconds``."""
    return started_at is not None and time.monotonic() - started_at > seconds
