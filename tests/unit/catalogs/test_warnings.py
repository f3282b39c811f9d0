"""Warnings tell what certainly has no effect, of the author's own entries, and nothing else."""

from pathlib import Path

import pytest

from streams.catalogs import BUILT_IN
from streams.catalogs.document import read_document
from streams.catalogs.load import program_of
from streams.catalogs.warnings import warnings

NOBODY_ENTERS = (
    "4:39: segments 's' exit_when: holds whenever `when` does, and then nobody enters: the segment will have no members"
)
HEAD = "format: 1\nname: t\n"


def told(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "t.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    document = read_document(str(file))
    found = warnings(document, program_of(document))
    return [str(problem).removeprefix(f"{tmp_path}/t.yaml:") for problem in found]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_ins_give_no_cause(name: str) -> None:
    document = read_document(name)
    assert warnings(document, program_of(document)) == []


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("weights: {a: 2}", "3:10: weights: have no effect: no rule asks for score()"),
        ("core_features: [a]", "3:16: core_features: have no effect: no rule asks for core_features()"),
        (
            "checklist: [{event: a}]",
            "3:12: checklist: only shows in memberships: no rule asks for activated, activation_rate, activated_at",
        ),
        (
            "measures: {m: {event: a, property: p, aggregate: sum}}",
            "3:15: measures 'm': has no effect: no rule asks for it",
        ),
        (
            "events: {b: {event: a, where: 'True'}}",
            "3:13: events 'b': no rule asks for it, yet what it names counts twice in count(\"*\") and score()",
        ),
    ],
)  # fmt: skip
def test_entries_that_no_rule_asks_for_are_told(tmp_path: Path, text: str, warning: str) -> None:
    assert told(tmp_path, f"{text}\nsegments: [{{id: s, when: mrr > 1}}]\n") == [warning]


def test_entries_that_are_signals_are_told(tmp_path: Path) -> None:
    text = "weights: {nps_answered: 2, a: 3}\ncore_features: [a, nps_answered]\n"
    text += "segments: [{id: s, when: 'score(days=7) > core_features(days=7)'}]\n"
    assert told(tmp_path, text) == [
        "3:25: weights 'nps_answered': has no effect: signals are in no score",
        "4:20: core_features 1: has no effect: 'nps_answered' is a signal, which is no activity",
    ]


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        ("when: mrr > 3 and mrr < 2", "4:19: segments 's' when: can never hold: the segment will have no members"),
        (
            "when: mrr > 3, exit_when: mrr > 2",
            NOBODY_ENTERS,
        ),
        (
            "when: mrr > 3, exit_when: mrr > 2 and mrr < 1",
            "4:39: segments 's' exit_when: can never hold: who has entered the segment never leaves it",
        ),
        (
            "when: known(first_value_at)",
            "4:19: segments 's' when: asks for first_value_at, but there is no value_event, so it is never known",
        ),
        (
            "when: not activated",
            "4:19: segments 's' when: asks for activated, but the checklist is empty, so nobody is activated",
        ),
        (
            "when: core_features(days=7) > mrr",
            "4:19: segments 's' when: asks for core_features, but there are no core_features, so it is always 0",
        ),
    ],
)  # fmt: skip
def test_rules_that_come_to_nothing_are_told(tmp_path: Path, rules: str, warning: str) -> None:
    assert told(tmp_path, f"segments:\n  - {{id: s, {rules}}}\n") == [warning]


@pytest.mark.parametrize(
    "rules", ["when: mrr > 3, exit_when: 'False'", "when: mrr > 3, exit_when: mrr < 3", "when: 'True'"]
)
def test_rules_that_may_be_meant_are_left_alone(tmp_path: Path, rules: str) -> None:
    assert told(tmp_path, f"segments:\n  - {{id: s, {rules}}}\n") == []


@pytest.mark.parametrize(
    ("first", "is_told"),
    [("when: 'True'", True), ("when: 'True', cooldown_days: 1", False), ("when: 'True', exit_when: mrr > 3", False)],
)
def test_a_segment_behind_one_that_always_holds_is_told(tmp_path: Path, first: str, is_told: bool) -> None:  # noqa: FBT001
    text = f"segments:\n  - {{id: a, group: g, {first}}}\n  - {{id: b, group: g, when: mrr > 3}}\n"
    warning = "5:5: segments 'b': is never reached: before it in the group, 'a' always holds"
    assert told(tmp_path, text) == ([warning] if is_told else [])


def test_inherited_segments_that_the_author_emptied_are_told_where_they_stand(tmp_path: Path) -> None:
    found = told(tmp_path, "extends: default\ncore_features: []\n")
    assert found
    assert all(line.startswith("default:") and "there are no core_features" in line for line in found)


def test_inherited_entries_without_effect_are_not_the_authors_business(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"{HEAD}weights: {{a: 2}}\nsegments: [{{id: s, when: mrr > 1}}]\n")
    assert told(tmp_path, "extends: base.yaml\n") == []


def test_asking_for_members_of_a_disabled_segment_is_told(tmp_path: Path) -> None:
    text = "segments:\n  - {id: a, enabled: false, when: mrr > 1}\n  - {id: b, when: not member('a')}\n"
    assert told(tmp_path, text) == [
        "5:19: segments 'b' when: asks for members of 'a', which is not enabled and has none",
    ]
