"""docs/consuming.md and docs/publishing.md say what the code says."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
from typer.main import get_command

from schemas.event import ignored_fields, read_event
from schemas.generate import CONTRACTS
from schemas.transition import CE_TYPE
from streams.asyncapi.messages import MESSAGES
from streams.asyncapi.pages import DOCS, PAGES, with_tables
from streams.cli import COMMANDS, _application
from streams.runtime.headers import passed_on
from streams.runtime.transaction import COMPRESSION
from streams.schema_registry.desired import LEVEL
from streams.settings import setting_names, variable_of
from streams.topics import NAMES
from tests.kafka import test_consumer_examples
from tests.unit.schemas.test_compatibility import GROWING

ROOT: Final = Path(__file__).parents[3]
TEXTS: Final = {name: (DOCS / name).read_text("utf-8") for name in PAGES}
CONSUMING: Final = TEXTS["consuming.md"]
PUBLISHING: Final = TEXTS["publishing.md"]

each_page = pytest.mark.parametrize("name", PAGES)


@each_page
def test_the_tables_are_current(name: str) -> None:
    assert with_tables(TEXTS[name]) == TEXTS[name], "python -m streams.asyncapi.pages"


def test_every_table_is_on_a_page() -> None:
    assert len(re.findall(r"made by `python -m streams.asyncapi.pages`", "".join(TEXTS.values()))) == 3


@each_page
def test_every_file_that_is_linked_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXTS[name])
    assert links
    for link in links:
        assert (DOCS / link).exists(), link


@each_page
def test_every_topic_that_is_named_exists(name: str) -> None:
    for topic in re.findall(r"`((?:\w+\.){1,3}v1(?:\.\w+)?)`", TEXTS[name]):
        assert topic in {*NAMES.values(), CE_TYPE}, topic


@each_page
def test_every_command_and_option_that_is_named_exists(name: str) -> None:
    found = re.findall(r"\bpegel ((?:[a-z]+ )*[a-z]+)[^\n`]*", TEXTS[name])
    assert found
    for words in found:
        command, *rest = words.split()
        assert command in COMMANDS, words
        known = get_command(_application([command])).commands[command]  # type: ignore[attr-defined]
        if rest and hasattr(known, "commands"):
            assert rest[0] in known.commands, words


@each_page
def test_every_variable_and_setting_that_is_named_exists(name: str) -> None:
    paths = [path for path, _ in setting_names()]
    variables, settings = {variable_of(path) for path in paths}, {".".join(path) for path in paths}
    for variable in re.findall(r"PEGEL_\w+", TEXTS[name]):
        assert variable in variables, variable
    sections = "|".join({path[0] for path in paths} - {"topics"})
    for setting in re.findall(rf"`((?:{sections})\.\w+)(?:: [^`]+)?`", TEXTS[name]):
        assert setting in settings, setting


def test_the_event_on_the_page_is_one_and_nothing_of_it_is_ignored() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PUBLISHING, re.DOTALL)
    assert read_event(block.encode()).event == "report_created"
    assert ignored_fields(json.loads(block)) == []


def test_headers_of_our_own_are_dropped_and_others_passed_on() -> None:
    assert passed_on([("traceparent", b"x"), ("pegel-control", b"clock")]) == [("traceparent", b"x")]


def test_the_lists_that_may_grow_are_those_that_the_tests_let_grow() -> None:
    (said,) = re.findall(r"\*\*Lists that grow\*\*: (.*?)may get new words", CONSUMING, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", said)) == {place for _, place in GROWING}
    assert {name for name, _ in GROWING} <= CONTRACTS.keys()


def test_what_has_which_headers_is_as_the_page_says() -> None:
    assert MESSAGES["membership"].headers.always == MESSAGES["catalog"].headers.always == {}
    assert list(MESSAGES["action"].headers.always) == ["content-type"]


def test_batches_are_packed_as_the_page_says() -> None:
    assert f"packed with `{COMPRESSION}`" in CONSUMING


def test_the_level_on_the_page_is_the_one_that_is_registered() -> None:
    assert f"at the level `{LEVEL}`" in CONSUMING


def test_every_example_is_on_the_page_and_run() -> None:
    folders = {folder.name for folder in (ROOT / "examples" / "consumers").iterdir() if folder.is_dir()}
    assert folders == set(test_consumer_examples.LANGUAGES)
    for folder in folders:
        assert f"../examples/consumers/{folder}/" in CONSUMING
