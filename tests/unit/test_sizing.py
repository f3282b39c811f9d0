"""Laws of sizing: what is planned with is not better than what was measured, and more load never needs less."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import sizing
from streams.cli import run
from streams.sizing import Load, size

ROOT: Final = Path(__file__).parents[2]
COMMON: Final = Load(events_per_s=2_000, accounts=100_000, active_accounts=100_000, users=1_000_000)
loads = st.builds(
    Load,
    events_per_s=st.floats(0, 1e6),
    accounts=st.integers(1, 10**8),
    active_accounts=st.integers(1, 10**8),
    users=st.integers(1, 10**9),
)


def measured(row: str, what: str) -> dict[str, Any]:
    figures = json.loads((ROOT / "benchmarks" / "results.json").read_text())[row]["figures"]
    (found,) = [one for one in figures if what in one["what"]]
    assert isinstance(found, dict)
    return found


def test_nothing_is_planned_with_that_is_better_than_what_was_measured() -> None:
    assert measured("mixed", "default catalog")["median"] <= sizing.ENGAGEMENT_CPU_S_PER_MILLION
    assert measured("intake", "intake")["median"] <= sizing.INTAKE_CPU_S_PER_MILLION
    assert measured("scaling", "1,000,000 accounts")["median"] <= sizing.FIRST_TOUCH_FACTOR
    assert measured("recovery", "idle")["median"] <= sizing.IDLE_ACCOUNT_BYTES
    assert measured("memory", "active")["median"] <= sizing.LIVE_ACCOUNT_BYTES
    assert measured("ten_segments", "changelog")["median"] <= sizing.ROW_BYTES


def test_recovery_is_planned_no_faster_than_it_was_measured() -> None:
    figure = measured("recovery", "recovery of 1,000,000 accounts")
    planned_s = sizing.START_S + 1_000_000 / sizing.RECOVERY_ACCOUNTS_PER_S

    assert figure["median"] <= planned_s
    assert figure["beside"]["s without state"] <= sizing.START_S


@given(loads, st.floats(0, 1e5), st.integers(0, 10**7))
def test_more_load_never_needs_less(load: Load, events: float, accounts: int) -> None:
    less = size(load)
    more = size(
        Load(
            load.events_per_s + events, load.accounts + accounts, load.active_accounts + accounts, load.users + accounts
        )
    )
    for name in (
        "engagement_workers",
        "intake_workers",
        "partitions",
        "log_bytes",
        "changelog_bytes",
        "start_all_bytes",
    ):
        assert getattr(more, name) >= getattr(less, name)


@given(loads)
def test_a_worker_that_is_gone_is_carried_by_the_others(load: Load) -> None:
    found = size(load)

    assert found.engagement_workers >= 2
    assert found.intake_workers >= 2
    assert found.partitions >= sizing.PARTITIONS_PER_WORKER * found.engagement_workers
    assert found.engagement_memory_bytes >= load.accounts / (found.engagement_workers - 1) * sizing.IDLE_ACCOUNT_BYTES


def test_more_than_anybody_has_is_refused_instead_of_sought_for_ever() -> None:
    with pytest.raises(ValueError, match="ask for less"):
        sizing.engagement_workers(Load(1e12, 1, 1, 1))


def test_the_command_says_what_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["size", "--events", "2000", "--accounts", "100000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        name: getattr(size(COMMON), name) for name in sizing.Size.__dataclass_fields__
    }

    assert run(["size", "--events", "2000", "--accounts", "100000"]) == 0
    assert f"partitions                      {size(COMMON).partitions:>14}" in capsys.readouterr().out
