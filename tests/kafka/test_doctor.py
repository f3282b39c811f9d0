"""The examination of a real deployment: it finds nothing on a sound one, and each damage by its own check."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.dev.broker import Broker
from streams.engine import codec
from streams.rebuild.log import LogReader
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs
from tests.kafka.workers import WorkerProcess, environment, pegel, wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ACCOUNTS = [f"account-{number}" for number in range(12)]
CATALOG = {"PEGEL_ENGAGEMENT__CATALOG": "oss", "PEGEL_ENGAGEMENT__CLOCK": "log"}


def events(name: str, hour: int) -> bytes:
    lines = [
        {
            "type": "track",
            "event": name,
            "messageId": f"{account}-{name}-{hour}",
            "userId": f"user-of-{account}",
            "receivedAt": f"2026-03-0{1 + hour // 24}T{hour % 24:02}:00:00Z",
            "context": {"groupId": account},
        }
        for account in ACCOUNTS
    ]
    return b"\n".join(json.dumps(line).encode() for line in lines)


def examined(settings: Settings, *options: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [*pegel_command(), "doctor", "--json", *options],
        env=environment(settings, CATALOG),
        capture_output=True,
        timeout=120,
        check=False,
    )
    found = {row["check"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert found, done.stderr.decode()
    assert done.returncode == (1 if wrong(found) else 0)
    return found


def pegel_command() -> list[str]:
    from tests.kafka.workers import PEGEL

    return PEGEL


def wrong(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["reason"] for name, row in found.items() if row["level"] != "ok"}


def test_nothing_is_found_on_a_sound_deployment_at_work_and_each_damage_by_its_check(
    deployment: Settings, tmp_path: Path
) -> None:
    with workers(deployment, tmp_path, CATALOG, "intake", "engagement", "notifier") as running:
        for hour in range(3):
            assert pegel(deployment, "publish", "-", stdin=events("code_changed", hour * 20)).returncode == 0
        wait_until_settled(running["engagement"], 3 * len(ACCOUNTS))
        assert wrong(examined(deployment)) == {}
