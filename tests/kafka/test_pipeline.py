"""The whole way on real Kafka: what the workers write is what a replay of their log writes, whatever ends them."""

import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from streams.settings import Settings
from tests.kafka.workers import pegel, wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

EVENTS = Path(__file__).parents[2] / "deploy" / "demo" / "oss-activity.ndjson.gz"
EVENT_COUNT = 44_719
UNRANKED = """
format: 1
name: unranked
extends: oss
segments:
  - {id: power_account, enabled: false}
  - {id: rfm_champion, enabled: false}
  - {id: rfm_at_risk_high_value, enabled: false}
  - {id: rfm_inactive, enabled: false}
"""
UNALIGNED = {"PEGEL_INTAKE__ALIGNMENT_MS": "0"}
OSS = {"PEGEL_ENGAGEMENT__CATALOG": "oss", **UNALIGNED}

Transitions = dict[str, list[dict[str, Any]]]


def by_account(lines: Iterable[bytes]) -> Transitions:
    """Transitions per account in order of sequence, without the time of writing."""
    found: Transitions = defaultdict(list)
    for line in lines:
        transition = json.loads(line)
        transition.pop("emitted_at")
        found[transition["account_id"]].append(transition)
    for transitions in found.values():
        transitions.sort(key=lambda transition: int(transition["sequence"]))
    return dict(found)


def dumped(settings: Settings, topic: str) -> list[dict[str, Any]]:
    done = pegel(settings, "dump", topic)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def written(settings: Settings) -> Transitions:
    """What stands in the transitions topic, in the order in which it stands there."""
    records = dumped(settings, "segments.transitions.v1")
    in_order: dict[str, list[int]] = defaultdict(list)
    for record in records:
        in_order[record["key"]].append(json.loads(record["payload"])["sequence"])
    for account, sequences in in_order.items():
        assert sequences == list(range(1, len(sequences) + 1)), account
    return by_account(record["payload"].encode() for record in records)


def replayed(settings: Settings, *arguments: str, stdin: bytes | None = None) -> Transitions:
    done = pegel(settings, "replay", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return by_account(done.stdout.splitlines())


def require_equal(found: Transitions, wanted: Transitions) -> None:
    """Account by account, so that a failure shows one difference and not a novel."""
    assert found.keys() == wanted.keys()
    for account, transitions in wanted.items():
        assert found[account] == transitions, account


def test_events_keyed_by_account_give_what_their_file_gives(deployment: Settings, tmp_path: Path) -> None:
    """But for ranks among all accounts: when these are taken is a matter of the log, which no file of events has."""
    catalog = tmp_path / "unranked.yaml"
    catalog.write_text(UNRANKED)
    more = {"PEGEL_ENGAGEMENT__CATALOG": str(catalog), "PEGEL_ENGAGEMENT__CLOCK": "off", **UNALIGNED}
    with workers(deployment, tmp_path, more, "intake", "engagement") as running:
        published = pegel(deployment, "publish", str(EVENTS), "--key", "account")
        assert published.returncode == 0, published.stderr.decode()
        wait_until_settled(running["engagement"], EVENT_COUNT)

    found = written(deployment)
    require_equal(found, replayed(deployment, str(EVENTS), "--catalog", str(catalog)))

    members = {record["key"]: json.loads(record["payload"]) for record in dumped(deployment, "segments.membership.v1")}
    assert found.keys() <= members.keys()
    for account, transitions in found.items():
        assert members[account]["sequence"] == transitions[-1]["sequence"]


def test_events_keyed_by_user_give_what_the_log_gives_though_every_worker_is_killed(
    deployment: Settings, tmp_path: Path
) -> None:
    """Without alignment intake shuffles what is keyed by user: the log is the truth, clock records included."""
    more = {**OSS, "PEGEL_ENGAGEMENT__CLOCK": "log"}
    with workers(deployment, tmp_path, more, "intake", "engagement") as running:
        published = pegel(deployment, "publish", str(EVENTS), "--key", "user")
        assert published.returncode == 0, published.stderr.decode()
        for stage in ("intake", "engagement"):
            time.sleep(0.5)
            running[stage].kill()
            running[stage].start()
        wait_for(lambda: (running["engagement"].applied() or 0) >= EVENT_COUNT, *running.values(), timeout_s=180)
        wait_until_settled(running["engagement"], EVENT_COUNT)

    dump = pegel(deployment, "dump", "account.events.v1").stdout
    records = [json.loads(line) for line in dump.splitlines()]
    assert sum(1 for record in records if not record["headers"]) == EVENT_COUNT
    assert any("clock" in record["headers"] for record in records)
    require_equal(written(deployment), replayed(deployment, "-", "--catalog", "oss", stdin=dump))


def test_bad_records_become_dead_letters_and_hold_nothing_up(deployment: Settings, tmp_path: Path) -> None:
    good = b'{"type":"page","userId":"u1","receivedAt":"2026-03-01T00:00:00Z","context":{"groupId":"acme"}}'
    homeless = b'{"type":"track","messageId":"m2","userId":"u9","event":"seen","receivedAt":"2026-03-01T00:00:01Z"}'
    odd = b'{"type":"sing","receivedAt":"2026-03-01T00:00:02Z"}'
    with workers(deployment, tmp_path, OSS, "intake", "engagement") as running:
        published = pegel(deployment, "publish", "-", stdin=b"\n".join((odd, homeless, good)))
        assert published.returncode == 0, published.stderr.decode()
        wait_until_settled(running["intake"], 3)
        wait_until_settled(running["engagement"], 1)
        wait_for(lambda: bool(written(deployment)), *running.values())

    letters = {
        dict(zip(record["headers"][::2], record["headers"][1::2], strict=True))["pegel-reason"]: record["payload"]
        for record in dumped(deployment, "product.events.v1.dlq")
    }
    assert letters == {"missing_account": homeless.decode(), "unknown_type": odd.decode()}
    assert list(written(deployment)) == ["acme"]


def test_the_real_data_set_is_what_these_tests_count_on() -> None:
    with gzip.open(EVENTS) as lines:
        assert sum(1 for _ in lines) == EVENT_COUNT
