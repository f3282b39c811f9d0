"""docs/playbooks.md: everything it shows is run, and every key, word and reason is explained on it."""

import re
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

from schemas.action import Reason
from schemas.event import read_event
from schemas.playbook import (
    Destination,
    Goal,
    Grouping,
    LinkTemplate,
    On,
    Owner,
    Play,
    Playbook,
    Reentry,
    Roster,
    Step,
    StopOn,
    Template,
)  # fmt: skip
from schemas.schedule import Calendar, QuietHours
from streams.catalogs import load_program
from streams.connectors.dialects import Dialect
from streams.notify.plan.render import NAMES
from streams.notify.plan.words import filters
from streams.notify.playbooks import load_playbooks
from tests.unit.docs.blocks import prose_of
from tests.unit.docs.plays import KIND, scene_of, told

ROOT: Final = Path(__file__).parents[3]
FILE: Final = ROOT / "docs" / "playbooks.md"
PAGE: Final = FILE.read_text(encoding="utf-8")
PARTS: Final[tuple[type[BaseModel], ...]] = (
    Playbook, Destination, Grouping, Template, LinkTemplate, Play, On, Roster, Reentry, Step, StopOn, Goal, Owner,
    Calendar, QuietHours,
)  # fmt: skip
ALIASES: Final = {"roster": "list", "holds": "while", "start": "from", "end": "to"}
KEYS: Final = sorted({ALIASES.get(key, key) for part in PARTS for key in part.model_fields} | {"extends", "segment"})


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def heading_of(text: str) -> str:
    """The section that a block stands in, to name its test by."""
    above = PAGE[: PAGE.index(text)]
    last: str = re.findall(r"^## (.*)$", above, re.MULTILINE)[-1]
    return last.lower().replace(" ", "-")


@pytest.mark.parametrize("text", blocks(KIND), ids=heading_of)
def test_an_example_tells_what_it_shows(text: str, tmp_path: Path) -> None:
    scene = scene_of(text)
    assert scene.expected
    assert told(scene, tmp_path) == list(scene.expected)


@pytest.mark.parametrize("text", blocks("yaml"), ids=heading_of)
def test_a_playbook_of_the_page_can_be_used(text: str, tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(text, encoding="utf-8")
    found = load_playbooks(str(file), None, [segment.id for segment in load_program("default").segments])
    assert found.plays
    assert found.warnings == ()


@pytest.mark.parametrize("text", blocks("catalog"), ids=heading_of)
def test_a_catalog_of_the_page_can_be_used(text: str, tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_program(str(file)).segments


@pytest.mark.parametrize("text", blocks("json"))
def test_an_event_of_the_page_is_taken(text: str) -> None:
    assert read_event(" ".join(text.split()).encode()).context["groupId"] == "acme"


def test_every_block_is_of_a_kind_that_is_run() -> None:
    """`sh` apart, whose commands are checked below."""
    assert set(re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)) == {KIND, "yaml", "catalog", "json", "sh"}


def explained() -> set[str]:
    """What the first cell of a table's row or a heading names as code."""
    prose = prose_of(PAGE)
    rows = re.findall(r"^\| (.*) \|$", prose, re.MULTILINE)
    return set(re.findall(r"\w+", " ".join(code for row in rows for code in re.findall(r"`([^`]*)`", row))))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_explained(key: str) -> None:
    assert key in explained()


@pytest.mark.parametrize("word", [*NAMES, *filters(Dialect.PLAIN)])
def test_every_word_of_a_template_is_explained(word: str) -> None:
    first_cells = re.findall(r"^\| ([^|]*) \|", prose_of(PAGE), re.MULTILINE)
    assert word in re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", " ".join(first_cells))))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    assert re.search(rf"^\| [^|]*`{reason.value}`[^|]* \|", PAGE, re.MULTILINE)


def test_the_commands_of_the_page_are_there() -> None:
    from typer.main import get_command  # noqa: PLC0415 - slow to import

    from streams.cli import _application  # noqa: PLC0415

    root = get_command(_application([]))
    for line in "\n".join(blocks("sh")).splitlines():
        for words in re.findall(r"pegel ((?:[a-z-]+ ?)+)", line):
            command = root
            for word in words.split():
                known = getattr(command, "commands", None)
                if known is None:
                    break
                assert word in known, line
                command = known[word]


def test_the_contents_name_every_section_and_every_link_leads_somewhere() -> None:
    prose = prose_of(PAGE)
    sections = re.findall(r"^## (.*)$", prose, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-") for section in sections}
    contents = re.findall(r"^\d+\. \[(.*?)\]\(#", PAGE, re.MULTILINE)
    assert contents == [section for section in sections if section != "Contents"]
    links = re.findall(r"\]\(([^)]+)\)", prose)
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= anchors
    files = [link.partition("#")[0] for link in links if not link.startswith(("#", "https://"))]
    assert all((FILE.parent / file).exists() for file in files)
