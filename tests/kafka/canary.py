"""The canary as a process, for tests that watch it."""

import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.dev.ports import free_ports
from streams.settings import Settings
from tests.kafka.workers import PEGEL, environment

RHYTHM = {"PEGEL_CANARY__INTERVAL_S": "1", "PEGEL_CANARY__TIMEOUT_S": "3"}


class CanaryProcess:
    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def log(self) -> str:
        return self._log.read_text()

    def page(self, path: str) -> str:
        """What it says there; nothing where it says no, or nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    def shown(self, series: str) -> float:
        """The value of a series; -1 while it is not there."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.page("/metrics"), re.MULTILINE)
        return float(found[1]) if found else -1.0

    def outcome(self, word: str) -> float:
        return self.shown(f'pegel_canary_crossings_total{{outcome="{word}"}}')


@contextmanager
def canary(settings: Settings, folder: Path) -> Iterator[CanaryProcess]:
    """The service at a quick pace; it ends well when asked to."""
    (port,) = free_ports(1)
    path = folder / "canary.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            [*PEGEL, "canary", "--port", str(port)], env=environment(settings, RHYTHM), stdout=log, stderr=log
        )
        try:
            yield CanaryProcess(port, path)
            assert process.poll() is None, path.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
