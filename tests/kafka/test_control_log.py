"""Catalogs and erasures reach running workers through the log, and a replay of the log takes the same steps."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.settings import Settings
from tests.kafka.test_pipeline import by_account, dumped, replayed, require_equal, written
from tests.kafka.workers import pegel, wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

FIRST = """
format: 1
name: first
segments:
  - {id: seen_once, when: 'count("*", days=7) >= 1'}
  - {id: seen_twice, when: 'count("*", days=7) >= 2'}
"""
SECOND = """
format: 1
name: second
segments:
  - {id: seen_twice, when: 'count("*", days=7) >= 2'}
  - {id: known, when: 'count("*") >= 1'}
  - {id: leading, when: 'top_percent("uses", 50)'}
definitions: {uses: 'count("*", days=28)'}
"""
MORE = {"PEGEL_ENGAGEMENT__CLOCK": "log"}


def lines(days_ago: int, *accounts: str) -> bytes:
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat().replace("+00:00", "Z")
    events = [
        {
            "type": "track",
            "event": "seen",
            "messageId": f"{account}-{days_ago}",
            "userId": f"user-of-{account}",
            "receivedAt": at,
            "context": {"groupId": account},
        }
        for account in accounts
    ]
    return b"\n".join(json.dumps(event).encode() for event in events)


def test_a_catalog_applies_from_one_place_in_the_log_and_an_erased_account_is_forgotten(
    deployment: Settings, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(FIRST)
    second.write_text(SECOND)
    accounts = [f"account-{number}" for number in range(8)]
    with workers(deployment, tmp_path, {**MORE, "PEGEL_ENGAGEMENT__CATALOG": str(first)}, "intake", "engagement") as w:
        assert pegel(deployment, "publish", "-", stdin=lines(2, *accounts)).returncode == 0
        wait_for(lambda: len(written(deployment)) == len(accounts), *w.values())

        applied = pegel(deployment, "catalog", "apply", str(second), "--yes")
        assert applied.returncode == 0, applied.stderr.decode()
        wait_for(lambda: all(len(found) == 4 for found in written(deployment).values()), *w.values())

        assert pegel(deployment, "erase", "--account", "account-0", "--yes").returncode == 0
        assert pegel(deployment, "publish", "-", stdin=lines(1, *accounts[:4])).returncode == 0
        wait_for(lambda: len(written(deployment)["account-3"]) >= 5, *w.values())
        wait_until_settled(w["engagement"], 12)

    found = written(deployment)
    assert [(t["segment"], t["direction"], t["trigger"]) for t in found["account-5"]] == [
        ("seen_once", "entered", {"message_id": "account-5-2", "type": "track"}),
        ("seen_once", "exited", "catalog"),
        ("known", "entered", "catalog"),
        ("leading", "entered", "thresholds"),
    ]
    assert len(found["account-0"]) == 4
    members = {record["key"]: record["payload"] for record in dumped(deployment, "segments.membership.v1")}
    assert members["account-0"] is None

    dump = pegel(deployment, "dump", "account.events.v1").stdout
    kinds = [record["headers"][1] for line in dump.splitlines() if (record := json.loads(line))["headers"]]
    assert {"catalog", "erase", "sketch", "thresholds"} <= set(kinds)
    path = tmp_path / "dump.ndjson"
    path.write_bytes(dump)
    done = pegel(deployment, "replay", str(path))
    assert "catalog" in done.stderr.decode()
    history = [json.loads(line) for line in pegel(deployment, "catalog", "history", "--json").stdout.splitlines()]
    assert [entry["name"] for entry in history] == ["first", "second"]
    require_equal(found, by_account(done.stdout.splitlines()))
    assert replayed(deployment, str(path), "--catalog", str(first)) != found
