"""Worker processes that are started again whenever they end, as the docs ask of whoever runs them.

Theory of operation. A crew has posts; at each post stands one process at a time. A thread looks often and
puts a new process wherever one is missing. It also starts every process, because a process dies with the thread that
started it (`tether`): with the crew, however that ends, all its processes end. Who breaks workers does so from any
thread: it sends signals, and the crew's thread sees what came of it.

A zombie is a stopped process that was taken off its post. Continued, it must find out by itself that it was replaced,
and end.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from streams.dev import tether

LOOK_S: Final = 0.05
RESTART_PAUSE_S: Final = 0.3
LEAVE_TIMEOUT_S: Final = 120.0
FILLED_TIMEOUT_S: Final = 60.0
LOG_TAIL_BYTES: Final = 6_000
JOINED: Final = "joined"
"""In the name of a worker that is to be no static member."""
EXPECTED_ENDS: Final = frozenset({-signal.SIGKILL, 70, 0, 3, -signal.SIGTERM})
"""Killed; failed, to be started again; asked to leave; no Kafka within its patience; asked before it could listen."""


class Post:
    """A place for one process."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted = True
        self.start_not_before = 0.0
        self.starts = 0
        self._command = [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid()), *command]
        self._environment = dict(environment)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.starts += 1

    @property
    def running(self) -> subprocess.Popen[bytes] | None:
        process = self.process
        return process if process is not None and process.poll() is None else None


class Crew:
    """All posts, and the thread that fills them."""

    def __init__(self, command_of: Callable[[str], tuple[Sequence[str], Mapping[str, str]]], folder: Path) -> None:
        self._command_of = command_of
        self._folder = folder
        self._posts: dict[str, Post] = {}
        self._zombies: dict[subprocess.Popen[bytes], str] = {}
        """With the name that each had."""
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self.ends: Counter[int] = Counter()
        self.zombie_ends: Counter[int] = Counter()
        self.moments: list[float] = []
        """When a process ended in another way than in good order, was stopped, or went on."""
        self._thread = threading.Thread(target=self._tend, name="crew", daemon=True)
        self._thread.start()

    def _tend(self) -> None:
        while not self._ended.wait(LOOK_S):
            with self._lock:
                for post in list(self._posts.values()):
                    self._look_at(post)
                for zombie in [one for one in self._zombies if one.poll() is not None]:
                    del self._zombies[zombie]
                    self.zombie_ends[zombie.returncode] += 1
                    self._note_end(zombie)
        for process in self._processes():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def _look_at(self, post: Post) -> None:
        now = time.monotonic()
        if post.process is not None and post.process.poll() is not None:
            self.ends[post.process.returncode] += 1
            self._note_end(post.process)
            post.process = None
            post.start_not_before = now + RESTART_PAUSE_S
        if post.process is None and post.wanted and now >= post.start_not_before:
            post.start()

    def _note_end(self, process: subprocess.Popen[bytes]) -> None:
        if process.returncode != 0:
            self.moments.append(time.monotonic())

    def _processes(self) -> list[subprocess.Popen[bytes]]:
        return [*self._zombies, *(post.process for post in self._posts.values() if post.process is not None)]

    # -- who is there ------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        with self._lock:
            return sorted(name for name, post in self._posts.items() if post.wanted)

    @property
    def starts(self) -> int:
        with self._lock:
            return sum(post.starts for post in self._posts.values())

    @property
    def zombies(self) -> list[str]:
        """Who is left of those that were replaced: the names at whose posts a successor stands.

        Where a successor has left for good, a zombie that goes on is a worker like any other.
        """
        with self._lock:
            return sorted(name for name in self._zombies.values() if self._posts[name].wanted)

    def pids(self) -> dict[str, int]:
        with self._lock:
            return {name: one.pid for name, post in self._posts.items() if (one := post.running) is not None}

    def add(self, name: str) -> None:
        """Fill a post that is new or empty."""
        command, environment = self._command_of(name)
        with self._lock:
            self._posts[name] = Post(name, command, environment, self._folder)

    def leave(self, name: str) -> None:
        """Ask a worker to stop in good order and leave its post empty."""
        with self._lock:
            post = self._posts[name]
            post.wanted = False
            process = post.running
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        while post.process is process:
            assert time.monotonic() < deadline, (
                f"{name} does not leave within {LEAVE_TIMEOUT_S:.0f} s:\n{self.log(name)}"
            )
            time.sleep(LOOK_S)

    # -- harm --------------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> bool:
        """Kill -9 whoever stands there; whether somebody did."""
        with self._lock:
            process = self._posts[name].running
            if process is None:
                return False
            process.kill()
            return True

    def lose(self, name: str) -> None:
        """Kill -9 whoever stands there and leave the post empty, until `add` fills it anew."""
        with self._lock:
            self._posts[name].wanted = False
            self.kill(name)

    def stop_process(self, name: str) -> subprocess.Popen[bytes] | None:
        """SIGSTOP whoever stands there."""
        with self._lock:
            process = self._posts[name].running
            if process is not None:
                process.send_signal(signal.SIGSTOP)
                self.moments.append(time.monotonic())
            return process

    def replace(self, name: str, zombie: subprocess.Popen[bytes]) -> None:
        """Put a successor of the same name at the post of a stopped process."""
        with self._lock:
            post = self._posts[name]
            if post.process is zombie:
                post.process = None
                self._zombies[zombie] = name

    def go_on(self, process: subprocess.Popen[bytes]) -> None:
        self.moments.append(time.monotonic())
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)

    # -- logs --------------------------------------------------------------------------------------------------------

    def log_size(self, name: str) -> int:
        log = self._posts[name].log
        return log.stat().st_size if log.exists() else 0

    def wait_for_line(self, name: str, text: str, since: int, timeout_s: float) -> bool:
        """Whether a text appears in a worker's log after a position, within a time."""
        deadline = time.monotonic() + timeout_s
        wanted = text.encode()
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError), self._posts[name].log.open("rb") as log:
                log.seek(since)
                if wanted in log.read():
                    return True
            time.sleep(LOOK_S / 5)
        return False

    def log_text(self, name: str) -> str:
        log = self._posts[name].log
        return log.read_text(errors="replace") if log.exists() else ""

    def log(self, name: str) -> str:
        """The end of it."""
        return self.log_text(name)[-LOG_TAIL_BYTES:]

    @property
    def logs(self) -> str:
        return "\n".join(f"--- {name}\n{self.log(name)}" for name in sorted(self._posts))

    # -- the end -----------------------------------------------------------------------------------------------------

    def require_expected_ends(self) -> None:
        unexpected = (self.ends + self.zombie_ends).keys() - EXPECTED_ENDS
        assert not unexpected, f"workers ended with {sorted(unexpected)}:\n{self.logs}"

    def end(self) -> None:
        """Kill whatever is left, and wait until it is gone."""
        self._ended.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "processes that cannot be killed"
