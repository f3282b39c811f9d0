"""A fault is told with the line and column of the file, however YAML wrote the text that it is in."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.catalogs import InvalidCatalogError, load_program
from streams.catalogs.document import Source, parse
from streams.catalogs.scalars import offset_in_file

HEAD = "format: 1\nname: t\nsegments:\n"


def problems_of(tmp_path: Path, text: str, name: str = "t.yaml") -> list[str]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidCatalogError) as caught:
        load_program(str(file))
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "spot"),
    [
        ("when: 1 > WRONG", "5:15"),
        ("when: 1 >\n      2 and\n      WRONG", "7:7"),
        ("when: '1 > 2 and WRONG'", "5:22"),
        ("when: 'plan == \"it''s\" and WRONG'", "5:32"),
        ('when: "plan == \\"\\u0041\\" and WRONG"', "5:35"),
        ('when: "1 > 2 \\\n      and WRONG"', "6:11"),
        ("when: >-\n      1 > 2\n      and WRONG", "7:11"),
        ("when: |\n      1 > 2\n      and WRONG", "7:11"),
        ("when: |\n      1 > 2\n         and WRONG", "7:14"),
        ("when: |2  # why\n      1 > 2\n\n      and WRONG", "8:11"),
        ("when: >\n      1 > 2\n\n      and\n        WRONG", "9:9"),
        ("{when: 'ä == 1 or WRONG'}".replace("{", "").replace("}", ""), "5:12"),
    ],
)
def test_a_name_in_a_rule_is_pointed_at(tmp_path: Path, written: str, spot: str) -> None:
    (found,) = problems_of(tmp_path, f"{HEAD}  - id: s\n    {written}\n")
    assert found.startswith(f"t.yaml:{spot}: segments 's' when: ")


@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029", exclude_categories=("Cs", "Cc")),
        max_size=60,
    ),
    st.sampled_from(["'", '"', "|", ">", None]),
    st.integers(0, 60),
    st.sampled_from([12, 80]),
)
def test_each_character_is_found_as_it_was_written(value: str, style: str | None, at: int, width: int) -> None:
    text = yaml.dump({"k": value}, default_style=style, allow_unicode=True, width=width)
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    node = next(node for key, node in root.value if key.value == "k")
    if at >= len(node.value) or node.value[at].isspace():
        return
    offset = offset_in_file(text, node, node.value, at)
    character = node.value[at]
    escaped = (f"\\x{ord(character):02X}", f"\\u{ord(character):04X}", f"\\U{ord(character):08X}")
    assert (
        text[offset] == character
        or text[offset : offset + 2] == f"\\{character}"
        or text[offset:].startswith(escaped)
        or text[offset : offset + 2] in ("\\_", "\\L", "\\P", "\\N")
    )


def test_the_place_is_that_of_the_file_which_says_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"{HEAD}  - id: s\n    when: WRONG\n  - {{id: t, when: stage}}\n")
    found = problems_of(
        tmp_path, "format: 1\nname: o\nextends: base.yaml\nsegments:\n  - {id: t, exit_when: 1 < WORSE}\n"
    )
    assert [line.partition(" segments")[0] for line in found] == ["t.yaml:5:28:", "base.yaml:5:11:"]


def test_a_list_that_is_replaced_leaves_no_places(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"{HEAD}  - {{id: s, when: stage}}\nchecklist: [{{event: a}}, {{event: b}}]\n")
    (found,) = problems_of(tmp_path, "format: 1\nname: o\nextends: base.yaml\nchecklist: [{event: c, count: many}]\n")
    assert found.startswith("t.yaml:4:31: checklist 0 count: found 'many'; ")


def test_places_of_what_is_overridden_move_to_the_file_that_does(tmp_path: Path) -> None:
    document = parse(Source("a", "x: {y: 1}\n"))
    assert document.is_own(("x", "y"))
    assert not document.is_own(("x", "z"))
