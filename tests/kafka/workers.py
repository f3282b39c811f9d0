"""Real workers as processes, for tests that publish, kill and compare."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.dev.ports import ports_in_a_row
from streams.settings import Settings

STARTED_WITHIN_S = 60.0
QUIET_S = 2.5
FAMILY_MAX = 4
"""As many processes as `worker all` starts: each takes a port, one after the other."""

PEGEL = [sys.executable, "-c", "from streams.cli import main; main()"]


def pegel(
    settings: Settings, *arguments: str, stdin: bytes | None = None, tree: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end; `tree`: of another version of the program."""
    return subprocess.run(
        [*PEGEL, *arguments],
        env=environment(settings), input=stdin, capture_output=True, timeout=180, check=False, cwd=tree,
    )  # fmt: skip


def environment(settings: Settings, more: Mapping[str, str] = {}) -> dict[str, str]:
    return {
        **os.environ,
        "PEGEL_KAFKA__BOOTSTRAP": settings.kafka.bootstrap,
        "PEGEL_KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "PEGEL_KAFKA__SESSION_TIMEOUT_MS": str(settings.kafka.session_timeout_ms),
        "PEGEL_KAFKA__HEARTBEAT_INTERVAL_MS": str(settings.kafka.heartbeat_interval_ms),
        **more,
    }


def readiness_at(address: str) -> dict[str, Any]:
    """What a worker's /readyz says; empty where nobody answers."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:
            page = answer.read()
    except urllib.error.HTTPError as error:
        page = error.read()
    except OSError:
        return {}
    found: dict[str, Any] = json.loads(page)
    return found


class WorkerProcess:
    """One worker, which may be killed and started again under the same name."""

    def __init__(
        self, stage: str, settings: Settings, folder: Path, more: Mapping[str, str], name: str | None = None
    ) -> None:
        """`name`: its fixed name, where there are several of a stage."""
        self.stage = stage
        self.name = name or f"test-{stage}"
        self._settings = settings
        self._environment = environment(settings, more)
        self._log = folder / f"{name or stage}.log"
        self._port = ports_in_a_row(FAMILY_MAX)[0]
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, tree: Path | None = None, more: Mapping[str, str] | None = None) -> None:
        """`tree`: of another version of the program. `more`: other settings than before."""
        command = [*PEGEL, "worker", self.stage, "--port", str(self._port), "--instance-id", self.name]
        if more is not None:
            self._environment = environment(self._settings, more)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=tree)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, timeout_s: float) -> int:
        """How it ended by itself."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-4_000:]

    def require_running(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.stage} ended with {self._process.returncode}: {self.log()}"

    def readiness(self) -> dict[str, Any]:
        return readiness_at(self.address)

    def applied(self) -> int | None:
        """Offsets that this worker has passed, summed over its partitions; None while it is not at work or behind."""
        ready = self.readiness()
        if not ready.get("ready") or any(one.get("lag") != 0 for one in ready["partitions"]):
            return None
        return sum(int(one["next_offset"]) for one in ready["partitions"])


@contextmanager
def workers(
    settings: Settings, folder: Path, more: Mapping[str, str], *stages: str
) -> Iterator[dict[str, WorkerProcess]]:
    """Workers of these stages, ready for work; all ended afterwards."""
    running = {stage: WorkerProcess(stage, settings, folder, more) for stage in stages}
    try:
        for worker in running.values():
            worker.start()
        for worker in running.values():
            wait_for(lambda worker=worker: worker.readiness().get("ready") is True, worker)  # type: ignore[misc]
        yield running
    finally:
        for worker in running.values():
            worker.stop()


def wait_for(condition: Callable[[], bool], *needed: WorkerProcess, timeout_s: float = STARTED_WITHIN_S) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        for worker in needed:
            worker.require_running()
        assert time.monotonic() < end, "; ".join(worker.log() for worker in needed)
        time.sleep(0.1)


def wait_until_settled(worker: WorkerProcess, records_min: int, timeout_s: float = 120.0) -> None:
    """Until a worker has read at least so many records, and nothing more comes for longer than a flush may gather.

    What it writes into its own log, clock records, comes with a flush.
    """

    def settled() -> bool:
        seen = worker.applied()
        if seen is None or seen < records_min:
            return False
        time.sleep(QUIET_S)
        return worker.applied() == seen

    wait_for(settled, worker, timeout_s=timeout_s)
