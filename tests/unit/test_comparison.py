"""The comparison's job written by hand, and its judge: the claim rests on both."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.comparison.equality import Decided, UnequalError, decisions, replayed, require_equal
from benchmarks.comparison.job import Account, at_ms_of, new_account, take
from benchmarks.load import ten_segments

CATALOG = Path(__file__).parents[2] / "benchmarks" / "ten_segments.yaml"


def test_the_job_written_by_hand_decides_what_a_replay_decides(tmp_path: Path) -> None:
    events = list(ten_segments(6_000, 150))
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(event.raw for event in events))
    accounts: dict[str, Account] = {}
    written = []
    for loaded in events:
        event = msgspec.json.decode(loaded.raw)
        at_ms = at_ms_of(event)
        account = accounts.setdefault(loaded.account, new_account(at_ms))
        written += [msgspec.json.encode(one) for one in take(loaded.account, account, event, at_ms)]

    expected = replayed(file, CATALOG)

    assert require_equal(expected, decisions(written)) == len(written)
    assert {one.segment for of_account in expected.values() for one in of_account} == {
        "new", "expiring", "surging", "active_days", "at_risk", "heating_up", "cooling_down", "under_adopted",
        "multi_user", "power",
    }  # fmt: skip


ENTERED = Decided("new", "entered", 1_000, 1)


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"a": [ENTERED, ENTERED]},
        {"a": [ENTERED], "b": [ENTERED]},
        {"a": [ENTERED._replace(segment="power")]},
        {"a": [ENTERED._replace(direction="exited")]},
        {"a": [ENTERED._replace(effective_at_ms=1_001)]},
        {"a": [ENTERED._replace(sequence=2)]},
    ],
)
def test_what_is_missing_repeated_or_different_is_told(found: dict[str, list[Decided]]) -> None:
    with pytest.raises(UnequalError, match="1 of 1 accounts differ"):
        require_equal({"a": [ENTERED]}, found)


def test_the_order_of_an_accounts_transitions_counts() -> None:
    both = [ENTERED, Decided("new", "exited", 2_000, 2)]

    with pytest.raises(UnequalError, match="sequence=2"):
        require_equal({"a": both}, {"a": both[::-1]})
