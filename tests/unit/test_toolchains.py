"""What happens where something that a test needs is not there."""

from pathlib import Path

import pytest

from tests.toolchains import missing, program

TESTS = Path(__file__).parents[1]
ASKS = "os.environ.get" + '("CI")'


def test_what_is_missing_skips_the_test_and_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="install the package nowhere"):
        program("no-such-program", "nowhere")


def test_in_ci_a_skipped_test_would_look_like_a_passed_one_so_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="no broker"):
        missing("no broker")


def test_one_place_decides_between_the_two() -> None:
    assert [path.name for path in TESTS.rglob("*.py") if ASKS in path.read_text()] == ["__init__.py"]
