"""A real Prometheus that scrapes the deployment, and a thread that notes what fires."""

import json
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import yaml

from streams.dev.ports import free_ports
from tests.gameday.alerts import Look, look_of

SCRAPE_S: Final = 1
LOOK_S: Final = 0.5
LOST_S: Final = 60
WINDOW_MIN_S: Final = 5
READY_S: Final = 60
JOB: Final = "pegel"


class Watch:
    """What Prometheus says, asked again and again."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.looks: list[Look] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)

    def ask(self, path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"{self.address}{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as answer:
            return json.load(answer)["data"]

    def query(self, expr: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and value of each series, now."""
        found = self.ask("/api/v1/query", query=expr)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def latest(self) -> Look:
        look = self.looks[-1]
        assert time.monotonic() - look.at_s < LOST_S, "Prometheus does not answer any more"
        return look

    def start(self) -> None:
        self._note()
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _look_on(self) -> None:
        while not self._ended.wait(LOOK_S):
            with suppress(OSError):  # a machine that is too busy for a moment; `latest` says when it is more
                self._note()

    def _note(self) -> None:
        self.looks.append(look_of(time.monotonic(), self.ask("/api/v1/alerts")["alerts"]))


@contextmanager
def watching(binary: str, folder: Path, ports: Mapping[str, int], factor: str) -> Iterator[Watch]:
    """`ports`: of the processes to scrape, by name. The rules are written as any site writes its own."""
    folder.mkdir()
    written = [sys.executable, "-m", "deploy.prometheus", "--out", str(folder / "rules"), "--factor", factor]
    subprocess.run([*written, "--window-min-s", str(WINDOW_MIN_S)], check=True, capture_output=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_config(folder, ports)))
    (port,) = free_ports(1)
    command = [
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            watch = Watch(f"http://127.0.0.1:{port}")
            _wait_until_ready(watch, process, folder / "log")
            watch.start()
            yield watch
            watch.end()
        finally:
            process.kill()


def _config(folder: Path, ports: Mapping[str, int]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
        "rule_files": [str(folder / "rules" / "*.yml")],
        "scrape_configs": [
            {
                "job_name": JOB,
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in ports.items()
                ],
            }
        ],
    }


def _wait_until_ready(watch: Watch, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{watch.address}/-/ready", timeout=2):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
