import os
import subprocess
import sys
import threading
import time

import pytest

from streams.runtime import watchdog
from streams.runtime.failure import EXIT_FAILED, FailReason
from streams.runtime.watchdog import Movements, Rule, Vigil, Watchdog


class Dial:
    def __init__(self, **shown: object) -> None:
        self.shown = shown

    def read(self) -> Movements:
        return {name: value for name, value in self.shown.items()}  # noqa: C416 - a mapping of another type


def looks_until_broken(vigil: Vigil, looks: int) -> int | None:
    return next((look for look in range(1, looks + 1) if vigil.broken()), None)


def test_what_stands_still_for_so_many_looks_breaks_the_rule() -> None:
    vigil = Vigil(Rule(FailReason.LOOP_STALLED, 3, Dial(beats=1).read))
    assert looks_until_broken(vigil, 10) == 4  # the first look learns the value


def test_what_moves_does_not() -> None:
    dial = Dial(beats=0)
    vigil = Vigil(Rule(FailReason.LOOP_STALLED, 2, dial.read))
    for beat in range(20):
        dial.shown["beats"] = beat // 2
        assert not vigil.broken()


def test_what_is_not_watched_for_a_while_begins_anew() -> None:
    dial = Dial(one=1)
    vigil = Vigil(Rule(FailReason.NO_PROGRESS, 3, dial.read))
    assert looks_until_broken(vigil, 3) is None
    dial.shown = {}
    assert not vigil.broken()
    dial.shown = {"one": 1}
    assert looks_until_broken(vigil, 3) is None


def test_one_that_stands_still_among_many_that_move_is_found() -> None:
    dial = Dial(stuck=7)
    vigil = Vigil(Rule(FailReason.NO_PROGRESS, 3, dial.read))
    for look in range(4):
        dial.shown["moving"] = look
        broken = vigil.broken()
    assert broken


def test_the_thread_ends_the_process_for_a_broken_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_S", 0.01)
    ended, reasons = threading.Event(), []

    def end(reason: FailReason) -> None:
        reasons.append(reason)
        ended.set()

    dog = Watchdog([Rule(FailReason.COMMIT_STUCK, 3, Dial(flush=1).read)], end)
    dog.start()
    assert ended.wait(5)
    dog.stop()
    assert reasons == [FailReason.COMMIT_STUCK]


def test_while_the_loop_hangs_nothing_else_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_S", 0.01)
    ended, reasons = threading.Event(), []

    def end(reason: FailReason) -> None:
        reasons.append(reason)
        ended.set()

    loop, flush = Rule(FailReason.LOOP_STALLED, 9, Dial(beats=1).read), Rule(FailReason.COMMIT_STUCK, 3, Dial(p=1).read)
    dog = Watchdog([loop, flush], end)
    dog.start()
    assert ended.wait(5)
    assert reasons == [FailReason.LOOP_STALLED]


def test_a_process_whose_loop_hangs_is_ended_hard() -> None:
    program = """
import asyncio, time
from streams.runtime import watchdog
from streams.runtime.failure import FailReason
from streams.runtime.vitals import Vitals
watchdog.LOOK_S = 0.05
vitals = Vitals()
watchdog.Watchdog([watchdog.Rule(FailReason.LOOP_STALLED, 20, lambda: {"beats": vitals.beats})]).start()
async def main():
    beating = asyncio.create_task(vitals.beat())
    await asyncio.sleep(0.6)
    time.sleep(60)
asyncio.run(main())
"""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=30, env=environment, capture_output=True, check=False
    )
    assert done.returncode == EXIT_FAILED
    assert b"loop_stalled" in done.stderr
    assert time.monotonic() - began < 25
