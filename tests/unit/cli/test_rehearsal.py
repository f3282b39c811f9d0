"""`pegel playbook simulate`, as a user calls it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from streams.cli import ExitStatus, run
from tests.unit.report.logs import dumped

ROOT = Path(__file__).parents[3]
REAL = ROOT / "tests" / "data" / "oss-transitions.ndjson.gz"
EVENTS = ROOT / "deploy" / "demo" / "oss-activity.ndjson.gz"
EVENT_LINES = 300
PLAYBOOK = """\
format: 1
name: ours
destinations:
  - id: team
    type: console
    quiet_hours: {from: "18:00", to: "08:00", weekends: true}
    group: {wait_s: 30, by: []}
plays:
  - {id: save, segments: [at_risk, cooling_down, churned], template: standard-digest, destination: team,
     cooldown_days: 7}
"""


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    file = tmp_path / "ours.yaml"
    file.write_text(PLAYBOOK)
    return str(file)


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in found if row["kind"] == kind]


def test_transitions_are_rehearsed_as_they_are(playbook: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["playbook", "simulate", playbook, str(REAL), "--json"]) == ExitStatus.OK
    found = rows(capsys)
    (told,) = of_kind(found, "run")
    (team,) = of_kind(found, "destination")
    assert told["transitions"] == len(gzip.decompress(REAL.read_bytes()).splitlines())
    assert team["destination"] == "team"
    assert 0 < team["after"]["messages"] <= team["before"]["messages"]
    assert team["after"]["busiest_hour"]["hour"][-5:] >= "08:00"
    assert sum(row["before"] for row in of_kind(found, "day")) == team["before"]["messages"]


def test_a_dump_of_the_topic_gives_the_same(playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the order of its partitions."""
    lines = gzip.decompress(REAL.read_bytes()).splitlines()
    assert run(["playbook", "simulate", playbook, str(REAL)]) == ExitStatus.OK
    plain = capsys.readouterr().out
    file = tmp_path / "dump.ndjson"
    file.write_bytes(b"\n".join(dumped(line, "segments.transitions.v1") for line in [*lines[50:], *lines[:50]]))
    assert run(["playbook", "simulate", playbook, str(file)]) == ExitStatus.OK
    assert capsys.readouterr().out == plain


def test_events_are_decided_over_by_the_catalog(
    playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(gzip.decompress(EVENTS.read_bytes()).splitlines()[:EVENT_LINES]))
    found = {}
    for catalog in ("oss", "default"):
        assert run(["playbook", "simulate", playbook, str(file), "--catalog", catalog, "--json"]) == ExitStatus.OK
        found[catalog] = rows(capsys)
    assert all(of_kind(told, "run")[0]["transitions"] for told in found.values())
    assert found["oss"] != found["default"]


def test_since_and_until_are_the_time_that_is_reported(playbook: str, capsys: pytest.CaptureFixture[str]) -> None:
    span = ["--since", "2020-01-01T00:00:00Z", "--until", "2021-01-01T00:00:00Z"]
    assert run(["playbook", "simulate", playbook, str(REAL), *span, "--json"]) == ExitStatus.OK
    found = rows(capsys)
    assert of_kind(found, "run")[0]["days"] == 366
    assert {row["day"][:4] for row in of_kind(found, "day")} == {"2020"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "2021-01-01T00:00:00Z", "--until", "2020-01-01T00:00:00Z"], "is empty"),
        (["--since", "soon"], "no RFC 3339 time"),
    ],
)
def test_a_time_that_is_none_is_refused(
    arguments: list[str], told: str, playbook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["playbook", "simulate", playbook, str(REAL), *arguments]) == ExitStatus.USAGE
    assert told in capsys.readouterr().err


def test_files_without_anything_to_tell_are_refused(
    playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nothing.ndjson"
    file.write_text("nonsense\n")
    assert run(["playbook", "simulate", playbook, str(file)]) == ExitStatus.USAGE
    told = capsys.readouterr().err
    assert "1 lines could not be used" in told
    assert "no transition" in told
