"""Laws of the runbooks: a page for each alert, and nothing on it that does not exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from deploy.prometheus.documents import groups
from deploy.prometheus.rules import Alert, Site
from streams.cli import COMMANDS, _application
from streams.settings import setting_names
from tests.toolchains import program
from tests.unit.deploy.known_metrics import faults
from tests.unit.deploy.test_alerts_prometheus import run

FOLDER = Path(__file__).parents[3] / "docs" / "runbooks"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
ALERTS = {rule.runbook: rule for group in groups(Site()) for rule in group.rules if isinstance(rule, Alert)}
HEADINGS = ["Symptom", "Impact", "First look", "Action", "Verify", "Do not"]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def queries(text: str) -> list[str]:
    """One a line."""
    return [line for block in blocks(text, "promql") for line in block.splitlines() if line]


def commands(text: str) -> Iterator[list[str]]:
    """Every call of pegel, in blocks and in the text, without comments and what it is piped into."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for call in (*lines, *re.findall(r"`(pegel [^`]+)`", prose)):
        if call.startswith("pegel "):
            yield shlex.split(call.split(" | ")[0], comments=True)[1:]


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {page.stem for page in PAGES} == set(ALERTS)


@each_page
def test_a_page_has_the_same_parts_as_every_other(page: Path) -> None:
    text = page.read_text()

    assert text.startswith(f"# {ALERTS[page.stem].name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


@each_page
def test_every_query_of_a_page_asks_for_what_there_is(page: Path) -> None:
    found = queries(page.read_text())

    assert found
    assert {query: faults(query) for query in found if faults(query)} == {}


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    promtool = program("promtool", "prometheus")
    asked = [query for page in PAGES for query in queries(page.read_text())]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))

    run(promtool, "check", "rules", tmp_path / "rules.yml")


@each_page
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    for arguments in commands(page.read_text()):
        _accept(arguments)


def _accept(arguments: list[str]) -> None:
    """Follow the words down the tree of commands, then look for the options."""
    said = "pegel " + " ".join(arguments)
    assert arguments[0] in COMMANDS, said
    command = get_command(_application([]))
    words = [word for word in arguments if not word.startswith("-")]
    while words and (inner := getattr(command, "commands", {}).get(words[0])) is not None:
        command = inner
        words.pop(0)
    assert not (words and hasattr(command, "commands")), f"{said}: no such command"
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in arguments if word.startswith("-")} <= options, said


@each_page
def test_every_page_that_a_page_leads_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).is_file(), target


@each_page
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = {".".join(path) for path, _ in setting_names()}
    sections = {name.split(".")[0] for name in known}
    named = {
        name for name in re.findall(r"`([a-z]+\.[a-z_]+)\b(?!\.)", page.read_text()) if name.split(".")[0] in sections
    }

    assert {name for name in named if name.split(".")[0] in sections} <= known
