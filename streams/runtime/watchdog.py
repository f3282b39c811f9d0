"""Ends a worker that lives but does not work.

Theory of operation. A thread looks once a second at a few plain numbers (a thread, because the loop may be what hangs).
Each rule says what must move at present, and the value that shows that it does; what has stood still for a given number
of looks *in a row* ends the process at once, hard: what hangs cannot be trusted to stop in order, and a restart resumes
from what was committed. Looks are counted instead of reading a clock, so that a machine that was suspended, or a
process that was stopped, is not taken for one that hangs. While the loop stands still nothing else can move, so that
such a look is held against the loop alone: the reason that is told is the cause.
"""

import os
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streams import log_events
from streams.runtime.assignment import Assignment
from streams.runtime.failure import EXIT_FAILED, FailReason
from streams.runtime.vitals import Vitals

LOOK_S: Final = 1.0

Movements = Mapping[Hashable, object]


@dataclass(frozen=True, slots=True)
class Rule:
    """Everything that ``watch`` names must change its value within ``looks_max`` looks."""

    reason: FailReason
    looks_max: int
    watch: Callable[[], Movements]


class Vigil:
    """One rule over time. Whoever looks is the clock."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._seen: dict[Hashable, tuple[object, int]] = {}

    @property
    def stands_still(self) -> bool:
        """Something has not moved between the last two looks."""
        return any(still for _, still in self._seen.values())

    def broken(self) -> bool:
        """Look once."""
        seen: dict[Hashable, tuple[object, int]] = {}
        for name, value in self.rule.watch().items():
            last, still = self._seen.get(name, (None, 0))
            seen[name] = (value, still + 1 if value == last else 0)
        self._seen = seen
        return any(still >= self.rule.looks_max for _, still in seen.values())


def rules_for(assignment: Assignment, vitals: Vitals, stall_s: float, silence_s: float = 300.0) -> list[Rule]:
    """What must move in a worker, and first of all the loop.

    Brokers may be away for longer than anything else may hang: their workers cannot know better than to wait, and a
    fresh start can not either.
    """
    stall_looks, silence_looks = max(1, round(stall_s / LOOK_S)), max(1, round(silence_s / LOOK_S))

    def loop() -> Movements:
        return {"beats": vitals.beats}

    def polls() -> Movements:
        return {"polls": vitals.polls} if assignment.settled and assignment.assigned else {}

    def responses() -> Movements:
        return {one.number: one.heard_at for one in assignment if one.active and not one.held_back}

    def lagging() -> Movements:
        return {one.number: one.next for one in assignment if one.active and not one.held_back and one.lag()}

    def commits() -> Movements:
        return {one.number: one.flush_waits_since for one in assignment if one.flush_waits_since is not None}

    def rebalance() -> Movements:
        loaded = sum(one.read_to for one in assignment.loadings)
        return {} if assignment.settled else {"settling": (assignment.epoch, loaded)}

    return [
        Rule(FailReason.LOOP_STALLED, stall_looks, loop),
        Rule(FailReason.POLL_STALLED, stall_looks, polls),
        Rule(FailReason.NO_PROGRESS, stall_looks, lagging),
        Rule(FailReason.COMMIT_STUCK, stall_looks, commits),
        Rule(FailReason.BROKER_SILENT, silence_looks, responses),
        Rule(FailReason.REBALANCE_STUCK, silence_looks, rebalance),
    ]


def end_process(reason: FailReason, exit_code: int = EXIT_FAILED) -> None:
    """End at once. The log is written out; nothing else is saved."""
    log_events.WORKER_HANGS.tell(reason=reason.value)
    log_events.write_out()
    os._exit(exit_code)


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
                if vigil.rule.reason is FailReason.LOOP_STALLED and vigil.stands_still:
                    break


def end_after(seconds: float, reason: FailReason) -> threading.Timer:
    """Arm a last resort: the process ends then, whatever hangs."""
    timer = threading.Timer(seconds, end_process, (reason,))
    timer.daemon = True
    timer.start()
    return timer
