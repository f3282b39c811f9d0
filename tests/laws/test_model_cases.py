"""The brute-force model, before it is trusted to judge the engine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.model.records import parse_time
from tests.model.replay import replay

CASES = Path(__file__).parent.parent / "data" / "cases"
INDEX: dict[str, dict[str, Any]] = json.loads((CASES / "index.json").read_text())
FIELDS = ("account_id", "segment", "direction", "group", "from_segment", "effective_at", "sequence")


@pytest.mark.parametrize("name", INDEX)
def test_the_model_gives_the_transitions_derived_by_hand(name: str) -> None:
    case = INDEX[name]
    lines = (CASES / case["input"]).read_text().splitlines()
    catalog = yaml.safe_load((CASES / case["catalog"]).read_text())
    expected = [json.loads(line) for line in (CASES / case["expected"]).read_text().splitlines()]
    found = replay(lines, catalog, parse_time(case["until"]))
    assert [{field: one[field] for field in FIELDS} for one in found] == expected
