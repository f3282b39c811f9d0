"""docs/rules.md: everything it shows is run, and every word that a catalog may use is explained on it."""

import re
from pathlib import Path
from typing import Final

import pytest

from schemas.catalog import Aggregate, Catalog, ChecklistStep, Measure, NamedEvent, Segment
from streams.catalogs import InvalidCatalogError, load_program
from streams.catalogs.document import read_document
from streams.catalogs.load import program_of
from streams.catalogs.warnings import warnings
from streams.engine.program import compile_catalog
from streams.engine.rules.errors import RuleError
from streams.engine.rules.parse import Scope, parse_condition
from streams.engine.rules.vocabulary import POPULATION, RULE, STAGES, WHERE
from tests.unit.docs.blocks import (
    KINDS,
    Block,
    blocks_of,
    parts_of,
    prose_of,
    scene_of,
    transitions_by_model,
    transitions_of,
    values_of,
)  # fmt: skip

ROOT: Final = Path(__file__).parents[3]
FILE: Final = ROOT / "docs" / "rules.md"
PAGE: Final = FILE.read_text(encoding="utf-8")
BLOCKS: Final = tuple(blocks_of(PAGE))

# What a rule in a `refused` block may refer to beside the vocabulary; the page says so.
SCOPE: Final = Scope(segments=("busy", "quiet"), definitions={"uses": 'count("*", days=28)'}, measures=("rows",))

RANKS: Final = re.compile("|".join(POPULATION))

CATALOG_KEYS: Final = (*Catalog.model_fields, "extends")
PART_KEYS: Final = tuple(key for part in (Segment, ChecklistStep, NamedEvent, Measure) for key in part.model_fields)
EXPLAINED: Final = sorted({*RULE.words, *WHERE.words, *CATALOG_KEYS, *PART_KEYS, *STAGES, *Aggregate})


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind]


def test_there_are_blocks_of_every_kind() -> None:
    assert {block.kind for block in BLOCKS} == set(KINDS)


@pytest.mark.parametrize("block", of_kind("example"), ids=str)
def test_an_example_has_the_transitions_it_shows(block: Block, tmp_path: Path) -> None:
    scene = scene_of(block)
    assert transitions_of(scene, tmp_path) == list(scene.expected)


@pytest.mark.parametrize("block", [block for block in of_kind("example") if not RANKS.search(block.text)], ids=str)
def test_the_independent_model_has_the_same_transitions(block: Block) -> None:
    scene = scene_of(block)
    assert transitions_by_model(scene) == list(scene.expected)


@pytest.mark.parametrize("block", of_kind("values"), ids=str)
def test_expressions_have_the_values_shown(block: Block, tmp_path: Path) -> None:
    scene = scene_of(block)
    assert scene.expected
    assert values_of(scene, tmp_path) == list(scene.expected)


@pytest.mark.parametrize("block", of_kind("refused"), ids=str)
def test_what_is_refused_is_refused_in_these_words(block: Block, tmp_path: Path) -> None:
    text, messages = parts_of(block)
    assert refusal(text, tmp_path) == messages


@pytest.mark.parametrize("block", of_kind("warned"), ids=str)
def test_what_is_warned_of_is_warned_of_in_these_words(block: Block, tmp_path: Path) -> None:
    text, messages = parts_of(block)
    document = read_document(written(text, tmp_path))
    found = [without(tmp_path, str(problem)) for problem in warnings(document, program_of(document))]
    assert found == messages.splitlines()


def refusal(text: str, folder: Path) -> str:
    """All that is said against a file (it begins with its format), or against a rule."""
    if text.startswith("format:"):
        with pytest.raises(InvalidCatalogError) as refused:
            load_program(written(text, folder))
        return without(folder, str(refused.value))
    with pytest.raises(RuleError) as found:
        parse_condition(text, SCOPE)
    return found.value.message


def written(text: str, folder: Path) -> str:
    file = folder / "ours.yaml"
    file.write_text(text + "\n", encoding="utf-8")
    return str(file)


def without(folder: Path, message: str) -> str:
    return message.replace(f"{folder}/", "")


@pytest.mark.parametrize("word", EXPLAINED)
def test_every_word_is_explained(word: str) -> None:
    """Explained is what a heading or the first cell of a table's row names."""
    prose = prose_of(PAGE)
    named = [*re.findall(r"^#+ (.*)$", prose, re.MULTILINE), *re.findall(r"^\| ([^|]*)\|", prose, re.MULTILINE)]
    code = " ".join(code for text in named for code in re.findall(r"`([^`]*)`", text))
    assert word in re.findall(r"\w+", code)


@pytest.mark.parametrize("word", [*RULE.words, *WHERE.words])
def test_every_word_of_a_rule_is_shown_in_use(word: str) -> None:
    run = [block.text for block in BLOCKS if block.kind in ("example", "values")]
    assert any(re.search(rf"\b{word}\b", text) for text in run)


def test_the_contents_name_every_section_and_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^##+ (.*)$", prose_of(PAGE), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(anchors) == len(headings)
    links = re.findall(r"\]\(([^)]+)\)", prose_of(PAGE))
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= anchors
    sections = re.findall(r"^## (.*)$", prose_of(PAGE), re.MULTILINE)
    contents = re.findall(r"^\d+\. \[(.*?)\]\(#", PAGE, re.MULTILINE)
    assert contents == [section for section in sections if section != "Contents"]
    files = [link.partition("#")[0] for link in links if not link.startswith(("#", "https://"))]
    assert all((FILE.parent / file).exists() for file in files)


def test_whole_catalogs_of_the_page_can_be_used(tmp_path: Path) -> None:
    """Blocks of YAML that begin with their format are catalogs."""
    catalogs = re.findall(r"^```yaml\n(format:.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert catalogs
    for text in catalogs:
        program = load_program(written(text, tmp_path))
        assert compile_catalog(program.catalog).version == program.version
