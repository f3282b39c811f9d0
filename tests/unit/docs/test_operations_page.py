"""The page of operations: what it says of versions, checks and tests is so."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from streams.app import AGENTS
from streams.doctor.checks import CHECKS
from streams.engine import codec

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def section(title: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    level = title.split(maxsplit=1)[0]
    _, _, rest = PAGE.partition(f"\n{title}\n")
    assert rest, title
    return re.split(rf"\n{level} ", rest, maxsplit=1)[0]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_check_of_the_doctor_stands_in_the_table_and_no_other() -> None:
    rows = [cells(line)[0] for line in section("## Is it well?").splitlines() if line.startswith("| `")]
    assert [name for row in rows for name in re.findall(r"`([\w-]+)`", row)] == list(CHECKS)


def test_the_table_of_versions_says_what_this_version_reads_and_writes() -> None:
    known = {row[0]: row[1:] for row in map(cells, re.findall(r"\n(\| [^`\n]* \|)(?=\n)", section("## Upgrade")))}
    older = ", ".join(map(str, range(codec.OLDEST_WRITTEN, codec.VERSION)))
    assert known[version("pegel")] == [f"{codec.OLDEST} to {codec.VERSION}", f"{codec.VERSION}; on demand {older}"]


@pytest.mark.parametrize("file", sorted(set(re.findall(r"\]\(\.\./(tests/[\w/]+\.py)\)", PAGE))))
def test_every_test_that_the_page_names_exists(file: str) -> None:
    assert (ROOT / file).is_file()


def test_stages_are_replaced_in_one_order_whoever_reads_first() -> None:
    orders = re.findall(r"for stage in ([\w ]+);", section("## Upgrade"))
    assert {*orders} == {"courier router engagement intake"}
    assert {*orders[0].split()} == AGENTS.keys()
