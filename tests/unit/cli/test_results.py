"""`pegel playbook results`, as a user calls it."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from streams.cli import ExitStatus, run
from tests.unit.report.logs import dumped, experiment

PLAYBOOK = """\
format: 1
name: ours
holdout_percent: 10
destinations: [{id: team, type: console}]
templates: {words: {title: "{{ account }}"}}
goals: {paid: 'entered("customer") or entered("champion")'}
plays:
  - {id: save, segment: at_risk, template: words, destination: team, holdout_percent: 50,
     goal: {enters: customer, within_days: 14}}
  - {id: call, segment: trial, template: words, destination: team, enabled: false,
     goal: {reaches: paid, within_days: 7}}
  - {id: plain, segment: trial, template: words, destination: team}
"""


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    file = tmp_path / "playbook.yaml"
    file.write_text(PLAYBOOK)
    return str(file)


def log(tmp_path: Path, lines: Sequence[bytes], name: str = "log.ndjson") -> str:
    file = tmp_path / name
    raw = b"".join(line + b"\n" for line in lines)
    file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return str(file)


SAVED = experiment({"treatment": (450, 90), "control": (550, 55)})
UNTIL = ["--until", "2026-06-01T00:00:00Z"]


def test_results_are_told_for_every_play_with_a_goal(
    playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["playbook", "results", "--playbooks", playbook, "--file", log(tmp_path, SAVED), *UNTIL]) == ExitStatus.OK
    )
    shown = capsys.readouterr().out
    assert "save: better with the play than without" in shown
    assert "call: too early" in shown
    assert "plain" not in shown


def test_dumps_in_several_files_give_the_same_rows_as_plain_lines(
    playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["playbook", "results", "save", "--playbooks", playbook, "--json", *UNTIL]
    assert run([*base, "--file", log(tmp_path, SAVED)]) == ExitStatus.OK
    plain = capsys.readouterr().out
    actions = [dumped(line, "playbook.actions.v1") for line in SAVED if b"exposed" in line]
    passages = [dumped(line, "segments.transitions.v1") for line in SAVED if b"exposed" not in line]
    files = [log(tmp_path, actions, "a.ndjson.gz"), log(tmp_path, [*passages, dumped(None, "x")], "b.ndjson")]
    assert run([*base, "--file", files[0], "--file", files[1]]) == ExitStatus.OK
    assert capsys.readouterr().out == plain
    row = json.loads(plain)
    assert (row["play"], row["verdict"], row["control_share"]) == ("save", "better", 0.55)
    assert row["control"] == {"exposed": 550, "reached": 55, "immature": 0}


def test_a_page_is_written_beside_the_text(playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "results.html"
    arguments = ["--playbooks", playbook, "--file", log(tmp_path, SAVED), "--html", str(page), *UNTIL]
    assert run(["playbook", "results", *arguments]) == ExitStatus.OK
    assert page.read_text().startswith("<!doctype html>")
    assert f"wrote {page}" in capsys.readouterr().err


def test_records_that_are_neither_are_counted(
    playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["playbook", "results", "--playbooks", playbook, "--file", log(tmp_path, [b"x", *SAVED])]) == 0
    assert "1 records were neither actions nor transitions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no playbook is named"),
        (["--playbooks", "PLAYBOOK", "plain", "--file", "LOG"], "no play 'plain' with a goal"),
        (["--playbooks", "PLAYBOOK", "--file", "-"], "cannot be read twice"),
        (["--playbooks", "PLAYBOOK", "--file", "nowhere.ndjson"], "is no file"),
        (["--playbooks", "PLAYBOOK", "--file", "LOG", "--since", "yesterday"], "no RFC 3339 time"),
        (["--playbooks", "PLAYBOOK", "--file", "LOG", "--html", "/nowhere/x.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], told: str, playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"PLAYBOOK": playbook, "LOG": log(tmp_path, SAVED)}
    assert run(["playbook", "results", *(places.get(one, one) for one in arguments)]) == ExitStatus.USAGE
    assert told in capsys.readouterr().err
