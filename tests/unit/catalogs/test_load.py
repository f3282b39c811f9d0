"""Reading catalogs: what is merged how, and that every fault is told, all at once, with what would mend it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalog import Catalog, Segment
from streams.catalogs import BUILT_IN, InvalidCatalogError, load_catalog, load_program
from streams.catalogs.problems import PROBLEMS_SHOWN_MAX
from streams.engine.program import version_of
from streams.engine.rules.errors import CatalogError

GOOD = """\
format: 1
name: mine
weights: {a: 1, on: 2.5}
core_features: [a]
definitions: {busy: 'count("a", days=7)'}
segments:
  - {id: one, when: busy > 1, owner: me}
  - {id: two, when: busy > 2}
"""


def written(tmp_path: Path, text: str, name: str = "t.yaml") -> str:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def faults(tmp_path: Path, text: str) -> list[str]:
    reference = written(tmp_path, text)
    with pytest.raises(InvalidCatalogError) as caught:
        load_program(reference)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def fault(tmp_path: Path, text: str) -> str:
    (found,) = faults(tmp_path, text)
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_ins_can_be_used(name: str) -> None:
    assert load_program(name).version == version_of(load_catalog(name))


def test_maps_merge_by_key_segments_by_id_lists_are_replaced(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    over = """\
format: 1
name: over
extends: t.yaml
weights: {b: 3}
core_features: [b, c]
segments:
  - {id: new, when: busy > 3}
  - {id: one, when: busy > 9}
"""
    catalog = load_catalog(written(tmp_path, over, "over.yaml"))
    assert {name: str(weight) for name, weight in catalog.weights.items()} == {"a": "1", "on": "2.5", "b": "3"}
    assert catalog.core_features == ("b", "c")
    assert [(one.id, one.when, one.owner) for one in catalog.segments] == [
        ("one", "busy > 9", "me"), ("two", "busy > 2", ""), ("new", "busy > 3", ""),
    ]  # fmt: skip


def test_how_a_catalog_was_put_together_leaves_no_trace(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    over = written(tmp_path, "format: 1\nname: mine\nextends: t.yaml\n", "over.yaml")
    assert load_program(over).version == load_program(str(tmp_path / "t.yaml")).version


def test_anchors_and_merge_keys_stand_for_what_they_name(tmp_path: Path) -> None:
    text = GOOD + "  - &three {id: three, when: busy > 3, owner: her}\n  - {<<: *three, id: four}\n"
    catalog = load_catalog(written(tmp_path, text))
    assert [(one.id, one.when, one.owner) for one in catalog.segments[2:]] == [
        ("three", "busy > 3", "her"), ("four", "busy > 3", "her"),
    ]  # fmt: skip


def test_all_faults_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
format: 2
name: mine
trail_days: 3
timezone: Mars/Olympus
weights: {a: much, a: 2}
definitions: {score: 1, busy: 'cuont("a", days=7)'}
measures:
  rows: {event: x, property: rows, aggregate: smu}
events:
  big: {event: x, where: property("rows") > bar}
  bigger: {event: big, where: "True"}
segments:
  - {id: one, when: busy > 1 and nothing}
  - {id: two, wenn: busy > 2, when: member("oen")}
  - {id: two, when: "True"}
  - {when: "True"}
  - {id: Bad, when: ""}
"""
    told = "\n".join(faults(tmp_path, text)).replace("'sum', 'max', 'min', 'last' or 'unique'", "AGGREGATES")
    for model in (Catalog, Segment):
        told = told.replace(", ".join(model.model_fields), "ENTRIES")
    assert [line.removeprefix("t.yaml:") for line in told.splitlines()] == [
        "1:9: format: found 2; input should be 1",
        "3:1: trail_days: there is no such entry; there are ENTRIES, extends; did you mean 'trial_days'?",
        "4:11: timezone: timezone 'Mars/Olympus' is not known: use a name such as 'UTC' or 'Europe/Berlin'",
        "5:14: weights 'a': found 'much'; a weight is a number",
        "5:20: weights 'a': stands twice in this map: remove one",
        "6:15: definitions 'score': this name is taken by the rule vocabulary: choose another",
        "6:32: definitions 'busy': the function 'cuont' is not known; did you mean 'count'?",
        "8:47: measures 'rows' aggregate: found 'smu'; input should be AGGREGATES; did you mean 'sum'?",
        "10:45: events 'big' where: the name 'bar' is not known",
        "11:19: events 'bigger' event: 'big' is a named event itself: name the event that producers send",
        "14:15: segments 'two' wenn: there is no such entry; there are ENTRIES; did you mean 'when'?",
        "14:44: segments 'two' when: there is no segment 'oen'; did you mean 'one'?",
        "15:5: segments 'two': has the id of the segment in line 14: rename one",
        "16:5: segments '#4' id: is missing",
        "17:10: segments 'Bad' id: found 'Bad'; string should match pattern '^[a-z][a-z0-9_]*$'",
        "17:21: segments 'Bad' when: found ''; value should have at least 1 item after validation, not 0",
    ]


def test_a_rule_is_looked_at_though_its_neighbour_is_wrong(tmp_path: Path) -> None:
    found = faults(tmp_path, GOOD.replace("owner: me", "ower: me").replace("busy > 2", "buzy > 2"))
    assert [line.split(": ")[1] for line in found] == ["segments 'one' ower", "segments 'two' when"]


def test_a_misspelt_override_is_seen_for_what_it_is(tmp_path: Path) -> None:
    text = "format: 1\nname: x\nextends: default\nsegments:\n  - {id: at_rsk, owner: me}\n"
    expected = "t.yaml:5:5: segments 'at_rsk' when: is missing; did you mean to override 'at_risk'?"
    assert fault(tmp_path, text) == expected


def test_a_circle_of_members_is_told_at_a_segment(tmp_path: Path) -> None:
    text = 'format: 1\nname: x\nsegments:\n  - {id: a, when: member("b")}\n  - {id: b, when: not member("a")}\n'
    assert fault(tmp_path, text) == "t.yaml:4:19: segments 'a' when: member() goes round in a circle among a, b"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "t.yaml:1:1: is not a catalog: found nothing; begin with `format: 1` and `name: ...`"),
        ("- 1", "t.yaml:1:1: is not a catalog: found a list; begin with `format: 1` and `name: ...`"),
        ("a: [1\nb: 2", "t.yaml:2:2: is not YAML: expected ',' or ']', but got ':'"),
        ("a: \x01", "t.yaml:1:4: is not YAML: the character #x0001 is not allowed"),
        ("extends: [x]", "t.yaml:1:10: extends: found a list; a built-in's name (BUILT_IN) or a path is needed"),
        (
            "a: 1\nextends: defualt",
            "t.yaml:2:10: extends: no such file 'defualt', and no built-in catalog (BUILT_IN); did you mean 'default'?",
        ),
        ("extends: t.yaml", "t.yaml:1:10: extends: goes round in a circle or too deep (at most 8): t.yaml -> t.yaml"),
        (
            "a: " + "[" * 20 + "]" * 20,
            "t.yaml:1:16: a 0: is too large: at most 100000 entries, nested 12 deep, are allowed",
        ),
    ],
)
def test_what_is_no_catalog_at_all_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert fault(tmp_path, text).replace(", ".join(BUILT_IN) + ")", "BUILT_IN)") == told


def test_aliases_of_aliases_cost_nothing(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "is too large: at most 100000 entries" in fault(tmp_path, "\n".join(lines))


def test_a_value_that_holds_itself_is_refused(tmp_path: Path) -> None:
    assert "is too large" in fault(tmp_path, "a: &a [*a]")


def test_more_faults_than_anyone_reads_are_counted(tmp_path: Path) -> None:
    text = GOOD + "".join(f"  - {{id: s{n}, when: nothing_{n}}}\n" for n in range(PROBLEMS_SHOWN_MAX + 7))
    with pytest.raises(CatalogError) as caught:
        load_catalog(written(tmp_path, text))
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (PROBLEMS_SHOWN_MAX + 1, "and 7 more")


def test_a_file_that_is_not_there_is_told_with_the_nearest_built_in() -> None:
    with pytest.raises(CatalogError, match=r"^defalt: no such file, and no built-in catalog .* mean 'default'\?$"):
        load_catalog("defalt")
    with pytest.raises(CatalogError, match="is no name of a file"):
        load_catalog("a\0b")


@pytest.mark.parametrize("weight", [".nan", ".inf", "'Infinity'", "1.2345", "true", "[1]", "1e9"])
def test_a_weight_is_a_finite_number_of_three_places(tmp_path: Path, weight: str) -> None:
    assert fault(tmp_path, GOOD.replace("2.5", weight)).startswith("t.yaml:3:21: weights 'on': found ")


STARTER = (Path(__file__).parents[3] / "streams" / "catalogs" / "starter.yaml").read_text(encoding="utf-8")
PIECES = st.sampled_from(
    ["\n", " ", ":", "'", '"', "[", "{", "- ", "&a ", "*a", "<<", "|", ">", "!!", "é", "\t", "#", "1", "(", "null"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(STARTER)), st.integers(0, 12), PIECES), min_size=1, max_size=3))
def test_whatever_is_mistyped_is_told_within_the_file(tmp_path: Path, mistakes: list[tuple[int, int, str]]) -> None:
    text = STARTER
    for at, cut, piece in mistakes:
        text = text[:at] + piece + text[at + cut :]
    lines = text.split("\n")
    try:
        load_program(written(tmp_path, text))
    except InvalidCatalogError as error:
        for problem in error.problems:
            if problem.line is not None and problem.file.endswith("t.yaml"):
                assert problem.column is not None
                assert problem.column <= len(lines[problem.line - 1]) + 1
                assert problem.excerpt == lines[problem.line - 1]
