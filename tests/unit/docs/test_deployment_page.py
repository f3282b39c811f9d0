"""What the page on deployment names is there: files, folders, commands, Secrets, ports, alerts."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from deploy.prometheus.documents import groups
from deploy.prometheus.rules import Site
from streams.cli import COMMANDS, run
from streams.security.roles import Role

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "deployment.md").read_text()
SHOWN: Final = re.compile(r"(?:^|`|-- |/doctor |--rm |-T )pegel ([a-z]+(?: [a-z]+)?)", re.MULTILINE)
COMMANDS_SHOWN: Final = sorted(set(SHOWN.findall(PAGE)))


def test_every_file_and_folder_that_is_named_is_there() -> None:
    linked = [one.partition("#")[0] for one in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in one]
    named = re.findall(r"(?<![\w/.])((?:deploy|tests)/[\w./-]*\w)", PAGE)

    assert linked
    assert [one for one in linked if not (ROOT / "docs" / one).exists()] == []
    assert [one for one in named if not (ROOT / one).exists()] == []


def test_every_component_and_overlay_is_told_of_and_no_other() -> None:
    for folder in ("components", "overlays"):
        there = {one.name for one in (ROOT / "deploy" / "kubernetes" / folder).iterdir() if one.is_dir()}
        (line,) = re.findall(rf"^  {folder}/ +(.*(?:\n {{16,}}\S.*)*)", PAGE, re.MULTILINE)
        assert {name for name in there if not re.search(rf"\b{name}\b", line)} == set()
    told = set(re.findall(r"`components/(\w+)`", PAGE))
    assert told == {one.name for one in (ROOT / "deploy" / "kubernetes" / "components").iterdir() if one.is_dir()}


@pytest.mark.parametrize("shown", COMMANDS_SHOWN)
def test_a_command_that_is_shown_is_one(shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shown.split()
    assert words[0] in COMMANDS
    assert run([*words[:2], "--help"]) == 0 or run([words[0], "--help"]) == 0


def test_every_principal_of_a_process_has_its_secret_named() -> None:
    (row,) = re.findall(r"^\| (`pegel-intake`.*?) \| `password`", PAGE, re.MULTILINE)
    named = set(re.findall(r"`pegel-(\w+)`", row))

    assert named == set(Role) - {Role.READER}, "a reader is a consumer of somebody else"


def test_an_address_that_is_shown_is_open_in_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    opened = {port.split(":")[1] for service in services for port in service.get("ports", [])}

    assert set(re.findall(r"localhost:(\d+)", PAGE)) == opened


def test_the_alert_that_is_named_is_one() -> None:
    assert set(re.findall(r"`(Pegel\w+)`", PAGE)) <= {alert.name for group in groups(Site()) for alert in group.alerts}
