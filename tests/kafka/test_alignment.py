"""Intake reads history that is keyed by user: no account's events come out shuffled by more than the setting says."""

import gzip
import json
from collections import defaultdict
from pathlib import Path

import pytest

from streams.settings import Settings
from tests.kafka.test_pipeline import EVENTS, dumped, replayed, require_equal, written
from tests.kafka.workers import pegel, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

DAY_MS = 86_400_000
SEASON = ("2019-01", "2019-02", "2019-03", "2019-04")


def season() -> list[bytes]:
    """What arrived in four months, in order of arrival."""
    with gzip.open(EVENTS) as lines:
        return [line for line in lines if json.loads(line)["receivedAt"].startswith(SEASON)]


def worst_disorder_ms(settings: Settings) -> int:
    """By how much a record of account events arrived before one that stands ahead of it, within an account."""
    newest: dict[str, int] = defaultdict(int)
    worst = 0
    for record in dumped(settings, "account.events.v1"):
        if not record["headers"]:
            account, arrival = record["key"], int(record["ts"])
            worst = max(worst, newest[account] - arrival)
            newest[account] = max(newest[account], arrival)
    return worst


def read_from_the_beginning(settings: Settings, folder: Path, events: list[bytes], alignment_ms: int) -> None:
    published = pegel(settings, "publish", "-", "--key", "user", stdin=b"".join(events))
    assert published.returncode == 0, published.stderr.decode()
    more = {"PEGEL_INTAKE__ALIGNMENT_MS": str(alignment_ms)}
    with workers(settings, folder, more, "intake") as running:
        wait_until_settled(running["intake"], len(events))


def test_history_by_user_comes_out_in_order_up_to_the_setting_and_the_log_decides_as_its_replay(
    deployment: Settings, tmp_path: Path
) -> None:
    events = season()
    read_from_the_beginning(deployment, tmp_path, events, DAY_MS)
    assert worst_disorder_ms(deployment) <= DAY_MS
    more = {"PEGEL_ENGAGEMENT__CATALOG": "oss", "PEGEL_ENGAGEMENT__CLOCK": "off"}
    with workers(deployment, tmp_path, more, "engagement") as running:
        wait_until_settled(running["engagement"], len(events))
    dump = pegel(deployment, "dump", "account.events.v1").stdout
    require_equal(written(deployment), replayed(deployment, "-", "--catalog", "oss", stdin=dump))


def test_without_alignment_the_same_history_is_shuffled_by_weeks(deployment: Settings, tmp_path: Path) -> None:
    """Shows that the test above can fail, and what the setting is for."""
    read_from_the_beginning(deployment, tmp_path, season(), 0)
    assert worst_disorder_ms(deployment) > 14 * DAY_MS
