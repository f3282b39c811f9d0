"""The canary on real Kafka: it sees its crossings in every partition, and says so when it does not."""

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.timestamps import format_ms
from streams.control_log import now_ms
from streams.dev.ports import free_ports
from streams.settings import Settings
from tests.kafka.workers import PEGEL, environment, pegel, wait_for, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

RHYTHM = {"PEGEL_CANARY__INTERVAL_S": "1", "PEGEL_CANARY__TIMEOUT_S": "3"}
OWN = """
format: 1
name: own
segments:
  - {id: pegel_canary, name: Canary, when: 'trait("pegel_canary") == "in"'}
"""
PLAYBOOK = """
format: 1
name: everything
destinations:
  - {id: out, type: file, directory: %s, file: told.ndjson}
templates:
  any: {title: "{{ account }}", body: "{{ segment }}"}
plays:
  - {id: all, destination: out, segments: ["*"], template: any}
"""


def page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


def shown(port: int, series: str) -> float:
    """The value of a series; -1 while it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", page(port, "/metrics"), re.MULTILINE)
    return float(found[1]) if found else -1.0


def outcome(port: int, word: str) -> float:
    return shown(port, f'pegel_canary_crossings_total{{outcome="{word}"}}')


@contextmanager
def canary(settings: Settings, folder: Path) -> Iterator[int]:
    """The service; yields its port."""
    (port,) = free_ports(1)
    with (folder / "canary.log").open("ab") as log:
        process = subprocess.Popen(
            [*PEGEL, "canary", "--port", str(port)], env=environment(settings, RHYTHM), stdout=log, stderr=log
        )
        try:
            yield port
            assert process.poll() is None, (folder / "canary.log").read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()


def test_the_canary_sees_every_crossing_until_engagement_stops_and_then_misses_them(
    deployment: Settings, tmp_path: Path
) -> None:
    partitions = deployment.kafka.partitions
    told = tmp_path / "told.ndjson"
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK % tmp_path)
    more = {
        "PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"),
        "PEGEL_INTAKE__ALIGNMENT_MS": "0",
    }
    with (
        workers(deployment, tmp_path, more, "intake", "engagement", "router", "courier") as running,
        canary(deployment, tmp_path) as port,
    ):
        wait_for(lambda: outcome(port, "seen") >= 4 * partitions, *running.values())
        assert (outcome(port, "missed"), outcome(port, "wrong")) == (0, 0)
        assert page(port, "/readyz") == "ready\n"
        assert shown(port, "pegel_canary_up") == 1
        assert shown(port, 'pegel_canary_latency_seconds_bucket{le="2.5"}') >= 4 * partitions
        seen_s = [
            shown(port, f'pegel_canary_partition_seen_timestamp_seconds{{partition="{number}"}}')
            for number in range(partitions)
        ]
        assert min(seen_s) > 0

        # Another catalog: what is crossed is another segment, and nothing is taken for a fault.
        (tmp_path / "own.yaml").write_text(OWN)
        applied = pegel(deployment, "catalog", "apply", str(tmp_path / "own.yaml"), "--yes")
        assert applied.returncode == 0, applied.stderr.decode()
        before = outcome(port, "seen")
        wait_for(lambda: outcome(port, "seen") >= before + 4 * partitions, *running.values())
        assert (outcome(port, "missed"), outcome(port, "wrong")) == (0, 0)
        assert "pegel_canary" in (tmp_path / "canary.log").read_text()

        # A look by hand has accounts of its own, and finds the same.
        looked = pegel(deployment, "canary", "--once", "--json")
        assert looked.returncode == 0, looked.stderr.decode()
        rows = [json.loads(line) for line in looked.stdout.splitlines()]
        assert sorted(row["partition"] for row in rows) == sorted([*range(partitions)] * 2)
        assert {row["outcome"] for row in rows} == {"seen"}
        assert all(row["account_id"].startswith("pegel-canary-once-") for row in rows)

        running["engagement"].stop()
        wait_for(lambda: outcome(port, "missed") >= partitions)
        last_s = shown(port, "pegel_canary_last_seen_timestamp_seconds")
        running["engagement"].start()
        before = outcome(port, "seen")
        wait_for(lambda: outcome(port, "seen") >= before + 2 * partitions, *running.values())
        assert shown(port, "pegel_canary_last_seen_timestamp_seconds") > last_s
        assert outcome(port, "wrong") == 0

        # People hear of accounts, and not of these.
        event = {"type": "group", "groupId": "acme", "traits": {"pegel_canary": "in"}, "timestamp": format_ms(now_ms())}
        assert pegel(deployment, "publish", "-", stdin=json.dumps(event).encode()).returncode == 0
        wait_for(told.exists, *running.values())
        assert {json.loads(line)["transition"]["account_id"] for line in told.read_text().splitlines()} == {"acme"}
