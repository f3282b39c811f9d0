"""Thirteen years of real activity: bursts, silence, and records that arrive days late.

Accounts do not know of each other, so the model, which is slow, takes them in shares.
"""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import pytest

from streams.catalogs import load_catalog
from tests.laws.side_by_side import by_engine, by_model, first_difference
from tests.model.records import parse_time

DATA_SET: Final = Path(__file__).parent.parent.parent / "deploy" / "demo" / "oss-activity.ndjson.gz"
UNTIL: Final = "2026-11-01T00:00:00Z"
SHARES: Final = 8
OF_ALL_ACCOUNTS: Final = ("top_percent(", "quintile(")
SEGMENTS_COMPARED: Final = 24


@cache
def lines_by_account() -> dict[str, list[str]]:
    accounts: dict[str, list[str]] = {}
    with gzip.open(DATA_SET, "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            account = event.get("groupId") or event["context"]["groupId"]
            accounts.setdefault(account, []).append(line)
    return accounts


def shares() -> Iterator[list[str]]:
    """The lines of the accounts of each share, in log order within an account."""
    for share in range(SHARES):
        yield [
            line
            for account, lines in lines_by_account().items()
            if crc32(account.encode()) % SHARES == share
            for line in lines
        ]


def catalog_of_single_accounts() -> dict[str, Any]:
    """The catalog `oss` without the segments that compare accounts with each other, which the model is not told of."""
    catalog = load_catalog("oss").model_dump(mode="json")
    catalog["segments"] = [
        segment
        for segment in catalog["segments"]
        if not any(word in f"{segment['when']} {segment['exit_when']}" for word in OF_ALL_ACCOUNTS)
    ]
    return catalog


def test_the_data_set_is_all_there() -> None:
    accounts = lines_by_account()
    assert (len(accounts), sum(map(len, accounts.values()))) == (1_219, 44_719)
    assert len(catalog_of_single_accounts()["segments"]) >= SEGMENTS_COMPARED


@pytest.mark.timeout(900)
@pytest.mark.parametrize("share", range(SHARES))
def test_real_activity_gives_what_the_model_gives(share: int) -> None:
    lines = list(shares())[share]
    catalog, until_ms = catalog_of_single_accounts(), parse_time(UNTIL)
    engine, model = by_engine(lines, catalog, until_ms), by_model(lines, catalog, until_ms)
    if engine != model:
        pytest.fail(first_difference(engine, model))
    assert len(engine) > 1_000
