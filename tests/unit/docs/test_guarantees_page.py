"""The page of guarantees: behind every promise stands a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.findall(r"\[`(tests/[\w/]+\.py)::(test_\w+)`\]", PAGE)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_the_page_names_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_page_names_tests_and_nothing_else_in_brackets_of_code() -> None:
    assert len(NAMED) > 40
    assert len(re.findall(r"\[`", PAGE)) == len(NAMED)
