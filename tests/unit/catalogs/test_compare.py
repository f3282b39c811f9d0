"""Differences: each is told once, at the finest entry, and nothing is told of catalogs that say the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from streams.catalogs import load_catalog
from streams.catalogs.compare import differences

BASE: dict[str, Any] = {
    "format": 1,
    "name": "base",
    "weights": {"a": 1.5, "b": 2},
    "core_features": ["a", "b"],
    "checklist": [{"event": "a", "count": 2}, {"event": "b"}],
    "definitions": {"busy": "score(days=7)"},
    "measures": {"rows": {"event": "a", "property": "rows", "aggregate": "sum"}},
    "segments": [{"id": name, "when": "busy > 1"} for name in ("one", "two", "three", "four")],
}


def told(**entries: Any) -> list[str]:
    old, new = (Catalog.model_validate(plain) for plain in (BASE, BASE | entries))
    return [str(difference) for difference in differences(old, new)]


SEGMENTS = BASE["segments"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, []),
        ({"name": "other"}, ["~ name: base -> other"]),
        ({"trial_days": 7}, ["~ trial_days: 14.0 -> 7.0"]),
        ({"value_event": "a"}, ["~ value_event -> a"]),
        ({"weights": {"b": 3, "c": 0.5}}, ["- weights a: 1.5", "~ weights b: 2 -> 3", "+ weights c: 0.5"]),
        ({"core_features": ["b", "c"]}, ["- core_features a", "+ core_features c"]),
        ({"core_features": ["b", "a"]}, ["~ core_features: a, b -> b, a"]),
        ({"checklist": [{"event": "b"}]}, ["- checklist a >= 2"]),
        ({"definitions": {"busy": "1"}}, ["~ definitions busy: score(days=7) -> 1"]),
        (
            {"measures": {"rows": {"event": "a", "property": "rows", "aggregate": "max"}}},
            ["~ measures rows aggregate: sum -> max"],
        ),
        ({"segments": SEGMENTS[1:]}, ["- segments one: busy > 1"]),
        ({"segments": [*SEGMENTS, {"id": "five", "when": "True"}]}, ["+ segments five: True"]),
        ({"segments": [SEGMENTS[3], *SEGMENTS[:3]]}, ["> segments four: now first"]),
        ({"segments": [*SEGMENTS[1:], SEGMENTS[0]]}, ["> segments one: now after four"]),
        (
            {"segments": [SEGMENTS[0] | {"when": "busy > 2", "owner": "me", "group": "g"}, *SEGMENTS[1:]]},
            ["~ segments one when: busy > 1 -> busy > 2", "~ segments one group -> g", "~ segments one owner -> me"],
        ),
    ],
)
def test_a_difference_is_told_at_the_finest_entry(entries: dict[str, Any], expected: list[str]) -> None:
    assert told(**entries) == expected


def test_a_built_in_differs_from_what_it_extends_in_what_it_says() -> None:
    found = differences(load_catalog("default"), load_catalog("oss"))
    assert {difference.section for difference in found} == {"name", "core_features", "checklist", "value_event"}


@given(st.permutations(SEGMENTS))
def test_only_segments_out_of_place_are_told(segments: list[Any]) -> None:
    found = told(segments=segments)
    assert (found == []) == (segments == SEGMENTS)
    assert len(found) < len(SEGMENTS)
