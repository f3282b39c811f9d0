"""The brute-force model, before it is trusted to judge the engine; and the scenarios it judges on."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import given, settings

from tests.model import replay as replaying
from tests.model.account import Account, Applied
from tests.model.catalog import Segment
from tests.model.instants import Watch
from tests.model.records import DAY_MS, parse_time
from tests.model.replay import AccountLog, replay
from tests.model.scenarios import Scenario, random_scenario, scenarios
from tests.model.segments import Evaluation, Memberships, Transition

CASES = Path(__file__).parent.parent / "data" / "cases"
INDEX: dict[str, dict[str, Any]] = json.loads((CASES / "index.json").read_text())
FIELDS = ("account_id", "segment", "direction", "group", "from_segment", "effective_at", "sequence")
DIRECTIONS = ("entered", "exited", "moved")
SEEDS = range(200)


@pytest.mark.parametrize("name", INDEX)
def test_the_model_gives_the_transitions_derived_by_hand(name: str) -> None:
    case = INDEX[name]
    lines = (CASES / case["input"]).read_text().splitlines()
    catalog = yaml.safe_load((CASES / case["catalog"]).read_text())
    expected = [json.loads(line) for line in (CASES / case["expected"]).read_text().splitlines()]
    found = replay(lines, catalog, parse_time(case["until"]))
    assert [{field: one[field] for field in FIELDS} for one in found] == expected


def _times(transitions: list[Transition]) -> list[int]:
    return [at for one in transitions if (at := parse_time(one["effective_at"])) is not None]


@given(scenarios())
@settings(max_examples=60, deadline=None)
def test_an_evaluation_at_any_other_time_finds_nothing(scenario: Scenario) -> None:
    """So the model misses no instant: a flip it dated too late would be found a millisecond before."""
    found = replay(*scenario)
    times = _times(found) or [0]
    around = {at + shift for at in times for shift in (-1, 1)}
    start, end = min(times), max(times) + 20 * DAY_MS
    grid = range(start, end, (end - start) // 300)
    assert replay(*scenario, extra_instants={*around, *grid}) == found


def test_scenarios_meet_every_kind_of_transition() -> None:
    met: Counter[str] = Counter()
    for seed in SEEDS:
        noted: Counter[str] = Counter()
        found = replay(*_scenario(seed), noted=noted)
        met.update({f"{one['direction']} by {one['trigger']['type']}" for one in found})
        met.update(what for what, often in noted.items() if often)
    kinds = [f"{direction} by {trigger}" for direction in DIRECTIONS for trigger in ("message", "deadline")]
    kinds += ["dwell waits", "cooldown waits", "duplicate", "too late", "clock ahead", "left out"]
    assert {kind: met[kind] for kind in kinds if met[kind] < len(SEEDS) // 20} == {}


# --- A judge is as good as the mistakes it would find: each of these is one. ---


@cache
def _scenario(seed: int) -> Scenario:
    return random_scenario(seed)


@cache
def _judged(seed: int) -> tuple[Transition, ...]:
    return tuple(replay(*_scenario(seed)))


def _before(log: AccountLog, horizon: int, fire: Callable[..., None] = AccountLog.fire_deadlines) -> None:
    fire(log, horizon - 1)


def _trial_on_its_last_ms(account: Account, now_ms: int, stage: Callable[..., str] = Account.stage) -> str:
    return stage(account, now_ms - 1)


def _to_the_dwell_itself(evaluation: Evaluation, segment: Segment) -> bool:
    over = evaluation._before.entered_ms[segment.id] + segment.min_dwell_ms
    return segment.min_dwell_ms > 0 and evaluation._now_ms <= over


def _utc_midnights(watch: Watch, account: Account, start: int, to_ms: int) -> list[int]:
    return [day * DAY_MS for day in range(start // DAY_MS + 1, min(to_ms, start + 200 * DAY_MS) // DAY_MS + 1)]


MISTAKES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "a grace of a millisecond less": lambda: patch.object(replaying, "GRACE_MS", 59_999),
    "ids remembered for a millisecond less": lambda: patch.object(replaying, "REMEMBERED_MS", DAY_MS - 1),
    "ids remembered for good": lambda: patch.object(replaying, "REMEMBERED_MS", 10**15),
    "nothing too late": lambda: patch.object(replaying, "KEPT_DAYS", 10**6),
    "a deadline at the horizon comes after the record": lambda: patch.object(AccountLog, "fire_deadlines", _before),
    "the trial ends a millisecond late": lambda: patch.object(Account, "stage", _trial_on_its_last_ms),
    "an exit waits for the ms after the dwell": lambda: patch.object(Evaluation, "_dwells", _to_the_dwell_itself),
    "nobody waits for the end of a dwell or cooldown": lambda: patch.object(Memberships, "waits", lambda *_: []),
    "no cooldown": lambda: patch.object(Evaluation, "_cools_down", lambda *_: False),
    "windows move at midnight UTC": lambda: patch.object(Watch, "_midnights", _utc_midnights),
    "the value that came last wins": lambda: patch.object(Applied, "age_key", property(lambda one: (one.position, 0))),
    "member() sees nobody": lambda: patch.object(Evaluation, "_is_member", lambda *_: False),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_scenarios_show_a_mistake(mistake: str) -> None:
    with MISTAKES[mistake]():
        shown = next((seed for seed in SEEDS if tuple(replay(*_scenario(seed))) != _judged(seed)), None)
    assert shown is not None


@pytest.fixture(autouse=True, scope="module")
def _judge_first() -> None:
    for seed in SEEDS:
        _judged(seed)
