"""Bytes that a released version wrote are read by every later one: samples are kept for good, one file a version.

When `codec.VERSION` grows, the states of the new version are added as `vN.ndjson`, and the older files stay: an older
state must then decode to what its migration makes of it, which is written beside it as `state`.
"""

import base64
import gzip
import json
import statistics
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.wire import decode_event
from streams.catalogs import load_catalog
from streams.engine import codec
from streams.engine.account import Account, fields_of
from streams.engine.partition import Outcome, Partition
from streams.engine.program import compile_catalog
from streams.engine.record import file_arrival

STATES = Path(__file__).parents[2] / "data" / "states"
SAMPLES = [
    pytest.param(json.loads(line), id=f"{path.stem}-{json.loads(line)['account']}")
    for path in sorted(STATES.glob("v*.ndjson"))
    for line in path.read_text().splitlines()
]
EVENTS = Path(__file__).parents[3] / "deploy" / "demo" / "oss-activity.ndjson.gz"
LATER = b'{"type":"track","event":"code_changed","userId":"u","timestamp":"2026-12-01T00:00:00Z"}'


def plain(account: Account) -> dict[str, Any]:
    """Everything about an account in values that JSON knows."""
    return fields_of(account) | {
        "events": {
            name: (series.total, series.first, series.last, series.counts()) for name, series in account.events.items()
        },
        "activity": account.activity.counts(),
        "score": account.activity.by_day(),
        "measures": {name: (series.days, series.values) for name, series in account.measures.items()},
        "message_ids": {int.from_bytes(digest): at for digest, at in account.message_ids.arrivals().items()},
    }


def test_every_version_has_samples() -> None:
    assert [path.stem for path in sorted(STATES.glob("v*.ndjson"))] == [f"v{n}" for n in range(1, codec.VERSION + 1)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_stored_state_is_read_as_what_it_was(sample: dict[str, Any]) -> None:
    stored = base64.b64decode(sample["stored"])
    account = codec.decode(stored)
    read = json.loads(msgspec.json.encode(plain(account)))
    added_since = {"operation": 0}
    assert read == added_since | sample["state"]
    assert codec.next_deadline(stored) == account.next_at


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_account_goes_on_from_a_stored_state(sample: dict[str, Any]) -> None:
    partition = Partition(compile_catalog(load_catalog("oss")))
    partition.restore(sample["account"], base64.b64decode(sample["stored"]))
    assert partition.apply(sample["account"], decode_event(LATER), LATER, 1_796_083_200_000) is Outcome.APPLIED
    transitions = partition.take_transitions()
    first = sample["state"]["sequence"] + 1
    assert [one.sequence for one in transitions] == list(range(first, first + len(transitions)))


def test_the_median_account_of_the_real_data_set_takes_less_than_a_kilobyte() -> None:
    partition = Partition(compile_catalog(load_catalog("oss")))
    with gzip.open(EVENTS) as lines:
        for line in lines:
            raw = line.strip()
            event = decode_event(raw)
            arrival = file_arrival(event)
            assert arrival is not None
            partition.apply(event.groupId or event.context["groupId"], event, raw, arrival)
    assert statistics.median(len(stored) for _, stored in partition.take_changes()) <= 1_024
