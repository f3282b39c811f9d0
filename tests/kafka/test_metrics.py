"""On real Kafka: what the metrics say is what happened, through a kill, a restart and a rebalance."""

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.settings import Settings
from tests.kafka.test_pipeline import Transitions, replayed, written
from tests.kafka.workers import WorkerProcess, pegel, wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

CATALOG = """
format: 1
name: tiny
segments:
  - {id: seen, when: 'count("*", days=28) >= 1'}
  - {id: busy, when: 'count("*", days=7) >= 3', group: pace}
  - {id: calm, when: 'count("*", days=7) >= 2', group: pace}
  - {id: nobody, when: 'count("*", days=7) < 0'}
"""
ACCOUNTS = 40


def events(first: int, number: int) -> bytes:
    """Of now, account by account in turns."""
    lines = []
    for place in range(first, first + number):
        now = datetime.fromtimestamp(time.time(), UTC).isoformat().replace("+00:00", "Z")
        event = {"type": "track", "event": "seen", "messageId": f"m{place}", "userId": "u", "receivedAt": now}
        lines.append(json.dumps({**event, "timestamp": now, "context": {"groupId": f"account-{place % ACCOUNTS}"}}))
    return "\n".join(lines).encode()


def publish(settings: Settings, lines: bytes) -> None:
    done = pegel(settings, "publish", "-", "--key", "account", stdin=lines)
    assert done.returncode == 0, done.stderr.decode()


class Shown:
    """One scrape of a worker, as Prometheus does it."""

    def __init__(self, worker: WorkerProcess) -> None:
        request = urllib.request.Request(
            f"{worker.address}/metrics", headers={"Accept": "application/openmetrics-text"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        self._samples: list[Sample] = [sample for family in families for sample in family.samples]

    def all(self, name: str) -> Iterator[Sample]:
        return (sample for sample in self._samples if sample.name == f"pegel_{name}")

    def by(self, name: str, label: str) -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in self.all(name)}

    def value(self, name: str) -> float:
        (sample,) = self.all(name)
        return sample.value


def led_to_by_events(found: Transitions) -> int:
    return sum(isinstance(one["trigger"], dict) for transitions in found.values() for one in transitions)


def members_of(found: Transitions) -> dict[str, int]:
    """Who is in each segment after these transitions."""
    members: Counter[str] = Counter()
    for transitions in found.values():
        for one in transitions:
            if one["direction"] != "exited":
                members[one["segment"]] += 1
            left = {"exited": one["segment"], "moved": one["from_segment"], "entered": None}[one["direction"]]
            if left is not None:
                members[left] -= 1
    return {segment: members[segment] for segment in ("seen", "busy", "calm", "nobody")}


def replayed_members(settings: Settings, catalog: Path) -> dict[str, int]:
    dump = pegel(settings, "dump", "account.events.v1").stdout
    return members_of(replayed(settings, "-", "--catalog", str(catalog), stdin=dump))


def require_what_was_published(worker: WorkerProcess, found: Transitions) -> None:
    shown = Shown(worker)
    assert shown.value("freshness_seconds_count") == led_to_by_events(found) > ACCOUNTS
    assert shown.value("freshness_seconds_sum") < 60 * led_to_by_events(found)
    assert sum(sample.value for sample in shown.all("transitions_total")) == sum(map(len, found.values()))
    told = {one["transition_id"] for transitions in found.values() for one in transitions}
    exemplars = [one.exemplar.labels for one in shown.all("freshness_seconds_bucket") if one.exemplar is not None]
    assert exemplars
    assert {labels["transition_id"] for labels in exemplars} <= told
    assert shown.by("members", "segment") == members_of(found)


def require_what_came_after(worker: WorkerProcess, settings: Settings, found: Transitions, before: Transitions) -> None:
    shown = Shown(worker)
    partitions = {str(number): 0 for number in range(settings.kafka.partitions)}
    assert shown.value("freshness_seconds_count") == led_to_by_events(found) - led_to_by_events(before) > 0
    assert shown.value("commit_duration_seconds_count") == shown.value("flush_duration_seconds_count") > 0
    assert shown.by("lag_records", "partition") == shown.by("lag_seconds", "partition") == partitions
    assert shown.by("members", "segment") == members_of(found)
    assert (shown.value("state_rows"), shown.value("restore_progress_ratio")) == (ACCOUNTS, 1)
    assert shown.value("restored_rows_total") > 0
    assert shown.value("records_lost_total") == shown.value("overdue_deadlines") == 0
    assert shown.value("watermark_delay_seconds") == 0
    assert [one.labels["name"] for one in shown.all("catalog_info")] == ["tiny"]


def require_shared(settings: Settings, catalog: Path, *sharing: WorkerProcess) -> None:
    shares = [Shown(one) for one in sharing]
    partitions = [number for share in shares for number in share.by("lag_records", "partition")]
    assert sorted(partitions) == [str(number) for number in range(settings.kafka.partitions)], "each is shown once"
    together = sum((Counter(share.by("members", "segment")) for share in shares), Counter())
    assert dict(together) == {one: count for one, count in replayed_members(settings, catalog).items() if count}
    assert sum(share.value("state_rows") for share in shares) == ACCOUNTS


def test_metrics_say_what_happened_through_a_kill_a_restart_and_a_rebalance(
    deployment: Settings, tmp_path: Path
) -> None:
    catalog = tmp_path / "tiny.yaml"
    catalog.write_text(CATALOG)
    more = {"PEGEL_ENGAGEMENT__CATALOG": str(catalog)}
    with workers(deployment, tmp_path, more, "intake", "engagement") as running:
        intake, worker = running["intake"], running["engagement"]
        publish(deployment, events(0, 70))
        wait_until_settled(intake, 70)
        wait_until_settled(worker, 70)
        before = written(deployment)
        require_what_was_published(worker, before)
        assert Shown(intake).value("freshness_seconds_count") > 0

        worker.kill()
        publish(deployment, events(70, 130))
        wait_until_settled(intake, 200)
        worker.start()
        wait_until_settled(worker, 200)
        require_what_came_after(worker, deployment, written(deployment), before)

        other = WorkerProcess("engagement", deployment, tmp_path, more, "test-other")
        try:
            other.start()
            wait_for(lambda: Shown(worker).value("partitions") == deployment.kafka.partitions / 2, worker, other)
            publish(deployment, events(200, 50))
            wait_until_settled(intake, 250)
            for one in (worker, other):
                wait_until_settled(one, 1)
            require_shared(deployment, catalog, worker, other)
        finally:
            other.stop()
