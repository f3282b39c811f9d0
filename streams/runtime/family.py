"""Several workers as child processes that live and die together.

Theory of operation. The parent does nothing but wait. Children run in sessions of their own, so that Ctrl-C reaches the
parent alone, which asks each child once: a child that heard it twice would end without committing. When a child ends,
however that came, the others are asked to end; whoever does not in time is killed. Killing the parent ends the children
too: each has asked the system (Linux: PR_SET_PDEATHSIG) for SIGTERM when its parent dies.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streams import log_events
from streams.runtime.failure import EXIT_OK

PR_SET_PDEATHSIG: Final = 1
LOOK_S: Final = 0.1
GRACE_S: Final = 2.0
"""Beyond the children's own time-out, which ends them hard."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    command: Sequence[str]


def die_with(parent: int) -> None:
    """Ask for SIGTERM when the parent dies; called by the child."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made
        sys.exit(EXIT_OK)


class _Asked:
    """Signals that the parent got."""

    def __init__(self) -> None:
        self.times = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.times += 1


def run_family(children: Sequence[Child], shutdown_timeout_s: float) -> int:
    """Run until a signal or the first end of a child; return 0, or the exit code of the first that failed."""
    asked = _Asked()
    # The command is ours: this interpreter, with words that were parsed already.
    running = {child.name: subprocess.Popen(child.command, start_new_session=True) for child in children}  # noqa: S603
    for name, process in running.items():
        log_events.FAMILY_STARTED.tell(name=name, pid=process.pid)
    ended: dict[str, int] = {}
    while not asked.times and not ended:
        time.sleep(LOOK_S)
        ended = _ended(running)
    for name, code in ended.items():
        log_events.FAMILY_BROKEN.tell(name=name, exit_code=_exit_code(code))
    for process in running.values():
        if process.poll() is None:
            process.terminate()
    give_up_at = time.monotonic() + shutdown_timeout_s + GRACE_S
    while len(ended) < len(running):
        time.sleep(LOOK_S)
        if asked.times > 1 or time.monotonic() > give_up_at:
            for process in running.values():
                process.kill()
        ended |= {name: code for name, code in _ended(running).items() if name not in ended}
    return next((_exit_code(code) for code in ended.values() if code != EXIT_OK), EXIT_OK)


def _ended(running: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    return {name: code for name, process in running.items() if (code := process.poll()) is not None}


def _exit_code(code: int) -> int:
    """A child that a signal ended has a negative code; shells say 128 + n."""
    return 128 - code if code < 0 else code
