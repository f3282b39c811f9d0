"""The canary on real Kafka: it sees its crossings in every partition, and says so when it does not."""

import json
from pathlib import Path

import pytest

from streams.settings import Settings
from tests.kafka.canary import canary
from tests.kafka.workers import pegel, wait_for, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

OWN = """
format: 1
name: own
segments:
  - {id: pegel_canary, name: Canary, when: 'trait("pegel_canary") == "in"'}
"""


def test_the_canary_sees_every_crossing_until_engagement_stops_and_then_misses_them(
    deployment: Settings, tmp_path: Path
) -> None:
    partitions = deployment.kafka.partitions
    aligned = {"PEGEL_INTAKE__ALIGNMENT_MS": "0"}
    with (
        canary(deployment, tmp_path) as watched,
        workers(deployment, tmp_path, aligned, "intake", "engagement") as running,
    ):
        wait_for(lambda: watched.outcome("seen") >= 2 * partitions, *running.values())
        assert watched.page("/readyz") == "ready\n"
        assert watched.shown("pegel_canary_up") == 1
        assert watched.shown('pegel_canary_latency_seconds_bucket{le="5.0"}') >= 2 * partitions
        for number in range(partitions):
            assert watched.shown(f'pegel_canary_partition_seen_timestamp_seconds{{partition="{number}"}}') > 0

        # Another catalog: what is crossed is another segment, and nothing is taken for a fault.
        missed = watched.outcome("missed")
        (tmp_path / "own.yaml").write_text(OWN)
        applied = pegel(deployment, "catalog", "apply", str(tmp_path / "own.yaml"), "--yes")
        assert applied.returncode == 0, applied.stderr.decode()
        before = watched.outcome("seen")
        wait_for(lambda: watched.outcome("seen") >= before + 2 * partitions, *running.values())
        assert "crosses pegel_canary by trait" in watched.log()

        # A look by hand has accounts of its own, and finds the same.
        looked = pegel(deployment, "canary", "--once", "--json")
        assert looked.returncode == 0, looked.stderr.decode()
        rows = [json.loads(line) for line in looked.stdout.splitlines()]
        assert sorted(row["partition"] for row in rows) == sorted([*range(partitions)] * 2)
        assert {row["outcome"] for row in rows} == {"seen"}
        assert all(row["account_id"].startswith("pegel-canary-once-") for row in rows)
        assert watched.outcome("missed") == missed

        running["engagement"].stop()
        wait_for(lambda: watched.outcome("missed") >= missed + partitions)
        last_s = watched.shown("pegel_canary_last_seen_timestamp_seconds")
        running["engagement"].start()
        before = watched.outcome("seen")
        wait_for(lambda: watched.outcome("seen") >= before + 2 * partitions, *running.values())
        assert watched.shown("pegel_canary_last_seen_timestamp_seconds") > last_s
        assert watched.outcome("wrong") == 0
