"""`pegel schemas`, as a user calls it."""

import gzip
import json
from pathlib import Path

import pytest

from schemas.generate import CONTRACTS
from streams.cli import ExitStatus, run

GOOD = '{"type":"track","event":"e","userId":"u"}'


def test_every_contract_is_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "list"]) == ExitStatus.OK
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(CONTRACTS)
    for name in CONTRACTS:
        assert run(["schemas", "show", name]) == ExitStatus.OK
        assert json.loads(capsys.readouterr().out)["$id"] == f"urn:pegel:{name}:v1"


def test_a_contract_that_is_not_there_is_a_usage_error() -> None:
    assert run(["schemas", "show", "nope"]) == ExitStatus.USAGE
    assert run(["schemas", "validate", "nope", "-"]) == ExitStatus.USAGE


def test_the_document_of_a_deployment_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", "prod.")
    assert run(["schemas", "asyncapi"]) == ExitStatus.OK
    told = capsys.readouterr()
    assert "address: prod.segments.transitions.v1" in told.out
    assert told.err == ""


def test_the_shipped_files_are_in_step() -> None:
    assert run(["schemas", "generate", "--check"]) == ExitStatus.OK


def test_a_file_out_of_step_is_named_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("schemas.generate.folder", lambda: tmp_path / "json")
    assert run(["schemas", "generate", "--check"]) == ExitStatus.FAILURE
    told = capsys.readouterr().out.splitlines()
    assert {str(tmp_path / "json" / "event.schema.json"), str(tmp_path / "asyncapi.yaml")} <= set(told)
    assert run(["schemas", "generate"]) == ExitStatus.OK
    assert run(["schemas", "generate", "--check"]) == ExitStatus.OK


def test_good_lines_pass_plain_and_gzip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, packed = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"
    plain.write_text(GOOD + "\n\n" + GOOD)
    packed.write_bytes(gzip.compress(GOOD.encode()))
    assert run(["schemas", "validate", "event", str(plain), str(packed)]) == ExitStatus.OK
    told = capsys.readouterr()
    assert told.out == ""
    assert "3 lines" in told.err


def test_a_bad_line_is_told_with_place_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text(f'{GOOD}\n{{"type":"track"}}\n{GOOD}\n{{\n')
    assert run(["schemas", "validate", "event", str(file)]) == ExitStatus.INVALID
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:2: missing_event: ")
    assert second.startswith(f"{file}:4: not_json: ")
    assert run(["schemas", "validate", "event", "--json", str(file)]) == ExitStatus.INVALID
    row = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (row["file"], row["line"], row["reason"]) == (str(file), 2, "missing_event")


def test_ignored_fields_are_told_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text('{"type":"page","userId":17,"name":null}\n')
    assert run(["schemas", "validate", "event", str(file)]) == ExitStatus.OK
    assert run(["schemas", "validate", "event", "--strict", str(file)]) == ExitStatus.INVALID
    assert capsys.readouterr().out == f"{file}:1: ignored: userId\n"


def test_other_contracts_are_checked_by_their_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text('{"at":"2026-03-01T00:00:00Z"}\n{"at":"noon"}\n')
    assert run(["schemas", "validate", "control-clock", str(file)]) == ExitStatus.INVALID
    assert capsys.readouterr().out.startswith(f"{file}:2: value_error: at: ")


def test_a_file_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "validate", "event", "/no/such/file"]) == ExitStatus.USAGE
    assert "/no/such/file" in capsys.readouterr().err
