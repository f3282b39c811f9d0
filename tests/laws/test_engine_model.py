"""The engine gives what the brute-force model gives, which shares no line with it.

PEGEL_SCENARIOS=N in the environment says how many random scenarios are compared, PEGEL_SEED=N with which one they
begin; a scenario that differs is named by its seed, and is the only one that runs with PEGEL_SCENARIOS=1 PEGEL_SEED=it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.laws.side_by_side import by_engine, by_model, first_difference
from tests.model.records import parse_time
from tests.model.scenarios import random_scenario

CASES = Path(__file__).parent.parent / "data" / "cases"
INDEX: dict[str, dict[str, Any]] = json.loads((CASES / "index.json").read_text())
SCENARIOS = int(os.environ.get("PEGEL_SCENARIOS", "400"))
FIRST_SEED = int(os.environ.get("PEGEL_SEED", "0"))
BATCH = 50


@pytest.mark.parametrize("name", INDEX)
def test_the_engine_gives_the_transitions_derived_by_hand(name: str) -> None:
    case = INDEX[name]
    lines = (CASES / case["input"]).read_text().splitlines()
    catalog = yaml.safe_load((CASES / case["catalog"]).read_text())
    expected = [json.loads(line) for line in (CASES / case["expected"]).read_text().splitlines()]
    found = by_engine(lines, catalog, parse_time(case["until"]))
    assert [{field: one[field] for field in wanted} for one, wanted in zip(found, expected, strict=False)] == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SCENARIOS, BATCH))
def test_the_engine_gives_what_the_model_gives(first: int) -> None:
    for seed in range(first, min(first + BATCH, FIRST_SEED + SCENARIOS)):
        scenario = random_scenario(seed)
        engine, model = by_engine(*scenario), by_model(*scenario)
        if engine != model:
            again = f"PEGEL_SCENARIOS=1 PEGEL_SEED={seed} pytest {__name__.replace('.', '/')}.py"
            pytest.fail(f"scenario {seed}: {first_difference(engine, model)}\nagain: {again}")
