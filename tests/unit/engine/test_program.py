from typing import Any

import pytest
from pydantic import ValidationError

from schemas.catalog import Catalog
from streams.catalogs import BUILT_IN, load_catalog
from streams.engine.program import Program, compile_catalog, version_of
from streams.engine.rules.errors import CatalogError
from tests.unit.engine.building import DAY, START, Log, catalog_of, program_of


def refusal(catalog: Catalog) -> str:
    with pytest.raises(CatalogError) as caught:
        compile_catalog(catalog, "c.yaml")
    return str(caught.value)


# --- the version ---


def test_the_version_is_of_the_content_however_it_is_written() -> None:
    one = Catalog.model_validate({"format": 1, "name": "a", "weights": {"x": 1, "y": 2}, "segments": []})
    other = Catalog.model_validate({"segments": [], "weights": {"y": 2, "x": 1}, "name": "a", "format": 1})
    assert version_of(one) == version_of(other)
    assert len(version_of(one)) == 16


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_catalog_that_was_sent_in_a_record_is_the_same_catalog(name: str) -> None:
    catalog = load_catalog(name)
    again = Catalog.model_validate(catalog.model_dump(mode="json"))
    assert (again, version_of(again)) == (catalog, version_of(catalog))


@pytest.mark.parametrize(
    "other",
    [
        catalog_of({"id": "a", "when": "mrr > 4"}),
        catalog_of({"id": "b", "when": "mrr > 3"}),
        catalog_of({"id": "a", "when": "mrr > 3", "owner": "me"}),
        catalog_of({"id": "a", "when": "mrr > 3"}, trial_days=7),
        catalog_of({"id": "a", "when": "mrr > 3"}, {"id": "c", "when": "True"}),
    ],
)
def test_whatever_changes_changes_the_version(other: Catalog) -> None:
    assert version_of(other) != version_of(catalog_of({"id": "a", "when": "mrr > 3"}))


# --- what is compiled ---


def test_numbers_are_kept_in_thousandths_and_milliseconds() -> None:
    program = program_of(
        {"when": "True", "min_dwell_days": 0.5, "cooldown_days": 1 / 3}, weights={"a": 0.1, "b": -2}, trial_days=7.5
    )
    assert {name: program.names.plan_of(name).weight for name in "abc"} == {"a": 100, "b": -2_000, "c": None}
    assert (program.trial_ms, program.dwell_ms, program.cooldown_ms) == (DAY * 15 // 2, (DAY // 2,), (DAY // 3,))


def test_core_features_that_are_signals_are_none() -> None:
    program = program_of("True", core_features=["a", "ping", "b", "a"], signals=["ping"])
    assert program.core_features == {"a": 0, "b": 1}


def test_a_group_is_one_unit_at_its_first_place() -> None:
    program = program_of(
        {"id": "a", "when": "True"},
        {"id": "b", "when": "True", "group": "g"},
        {"id": "c", "when": "True"},
        {"id": "d", "when": "True", "group": "g"},
        {"id": "e", "when": "True", "enabled": False},
    )
    assert [(unit.group, unit.mask) for unit in program.units] == [(None, 0b1), ("g", 0b1010), (None, 0b100)]
    assert list(program.bits) == ["a", "b", "c", "d"]


def strata_of(program: Program) -> list[set[str]]:
    return [{rule.id for rule in program.rules if stratum.mask >> rule.bit & 1} for stratum in program.strata]


def test_segments_are_decided_after_those_they_ask_for() -> None:
    program = program_of(
        {"id": "top", "when": 'member("left") and member("right")'},
        {"id": "left", "when": 'member("base")'},
        {"id": "right", "when": "mrr > 3", "exit_when": 'not member("base")'},
        {"id": "base", "when": "True"},
        {"id": "alone", "when": "mrr > 5"},
    )
    assert strata_of(program) == [{"base", "alone"}, {"left", "right"}, {"top"}]


def test_a_group_is_decided_together_after_all_that_its_segments_ask_for() -> None:
    program = program_of(
        {"id": "a", "when": 'member("base")', "group": "g"},
        {"id": "b", "when": "True", "group": "g"},
        {"id": "base", "when": "True"},
        {"id": "after", "when": 'member("b")'},
    )
    assert strata_of(program) == [{"base"}, {"a", "b"}, {"after"}]


def test_definitions_carry_the_dependence() -> None:
    program = program_of(
        {"id": "a", "when": "special"}, {"id": "b", "when": "mrr > 3"}, definitions={"special": 'not member("b")'}
    )
    assert strata_of(program) == [{"b"}, {"a"}]


@pytest.mark.parametrize(
    ("segments", "circle"),
    [
        ([{"id": "a", "when": 'member("a")'}], "a"),
        ([{"id": "a", "when": 'member("b")'}, {"id": "b", "when": 'not member("a")'}], "a, b"),
        ([{"id": "a", "when": "True", "exit_when": 'member("b")'}, {"id": "b", "when": 'member("a")'}], "a, b"),
        ([{"id": "a", "group": "g", "when": 'member("b")'}, {"id": "b", "group": "g", "when": "True"}], "a, b"),
        (
            [
                {"id": "a", "group": "g", "when": "True"},
                {"id": "b", "group": "g", "when": 'member("c")'},
                {"id": "c", "when": 'member("a")'},
                {"id": "d", "when": "True"},
            ],
            "a, b, c",
        ),
    ],
)
def test_members_that_ask_for_each_other_are_refused_by_name(segments: list[dict[str, Any]], circle: str) -> None:
    assert refusal(catalog_of(*segments)) == f"c.yaml: segments: member() goes round in a circle among {circle}"


def test_a_segment_that_is_not_enabled_breaks_a_circle() -> None:
    log = Log(program_of({"id": "a", "when": 'not member("b")'}, {"id": "b", "when": 'member("a")', "enabled": False}))
    log.track("x", START)
    assert log.members() == {"a"}


def test_a_catalog_without_segments_is_a_catalog() -> None:
    log = Log(program_of())
    log.track("a", START)
    log.until(START + 100 * DAY)
    assert (log.transitions, log.account().total) == ([], 1)


def test_five_hundred_segments_are_compiled_and_decided() -> None:
    log = Log(program_of(*(f'count("e{number}", days=7) >= 1' for number in range(500))))
    log.track("e7", START)
    log.track("e499", START)
    assert log.members() == {"s7", "s499"}


# --- refusals ---


@pytest.mark.parametrize(
    ("catalog", "message"),
    [
        (catalog_of("True", timezone="Europe/Berln"), "c.yaml: timezone: timezone 'Europe/Berln' is not known"),
        (catalog_of({"id": "a", "when": "mrr > 3 and\n foo"}), "c.yaml: segment 'a': when: line 2, column 2: the name"),
        (catalog_of({"id": "a", "when": "mrr", "exit_when": "foo"}), "c.yaml: segment 'a': exit_when: line 1, column"),
        (catalog_of("True", definitions={"x": "mrr +"}), "c.yaml: definitions: x: line 1, column 6: this is not"),
        (catalog_of("True", definitions={"mrr": "3"}), "c.yaml: definitions: mrr: this name is taken"),
        (catalog_of("True", definitions={"a": "b", "b": "a"}), "c.yaml: definitions: a: line 1, column 1: the defin"),
        (
            catalog_of("True", events={"big": {"event": "run", "where": "rows > 3"}}),
            "c.yaml: events: big: where: line 1, column 1: the name 'rows' is not known",
        ),
        (
            catalog_of("True", events={"big": {"event": "run", "where": 'count("a") > 3'}}),
            "c.yaml: events: big: where: line 1, column 1: the function 'count' is not known",
        ),
        (
            catalog_of(
                "True",
                events={
                    "big": {"event": "run", "where": "True"},
                    "huge": {"event": "big", "where": "True"},
                },
            ),
            "c.yaml: events: huge: 'big' is a named event itself",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_entry_line_and_column(catalog: Catalog, message: str) -> None:
    assert refusal(catalog).startswith(message)


def test_a_rule_that_is_off_may_be_wrong() -> None:
    program_of({"when": "foo", "enabled": False}, "True")


@pytest.mark.parametrize(
    "entries",
    [
        {"format": 2},
        {"trial_days": -1},
        {"trial_days": float("nan")},
        {"weights": {"a": 0.0001}},
        {"weights": {"a": True}},
        {"weights": {"a": "much"}},
        {"checklist": [{"event": "a", "count": 0}]},
        {"definitions": {"Not a name": "1"}},
        {"nonsense": 1},
    ],
)
def test_what_has_not_the_shape_of_a_catalog_is_none(entries: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        catalog_of("True", **entries)
