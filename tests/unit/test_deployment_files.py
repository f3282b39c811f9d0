"""Laws of the lock files, and of the names of topics."""

import re
import tomllib
from pathlib import Path

import pytest

from streams.topics import Topics

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_a_lock_file_pins_every_package_with_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())

    assert len(packages) > 3
    assert [one.split()[0] for one in packages if "==" not in one.split()[0] or "--hash=sha256:" not in one] == []
    assert "://" not in text
    assert "index" not in text


def test_the_lock_files_hold_all_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [re.split(r"[<>=\[ ]", one)[0].lower() for one in project["project"]["dependencies"]]
    wanted_dev = [
        re.split(r"[<>=\[ ]", one)[0].lower() for one in project["dependency-groups"]["dev"] if isinstance(one, str)
    ]
    locked = set(re.findall(r"^([a-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    locked_dev = set(re.findall(r"^([a-z0-9_.-]+)==", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))

    assert set(wanted) <= locked <= locked_dev
    assert set(wanted_dev) <= locked_dev


def test_no_two_topics_share_a_name() -> None:
    assert len(set(Topics().all())) == len(Topics().all())
