"""Laws of the command line as a whole: quick, with one line per failure and an exit status that scripts can use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams import cli
from streams.cli import ExitStatus, exit_status_of, run
from streams.errors import ExpectedError, InvalidSchemaError, KafkaUnreachableError, SettingsError

NOBODY = "127.0.0.1:1"
SLOW = ("faust", "aiokafka", "aiohttp", "confluent_kafka", "testcontainers")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitStatus.OK

    shown = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if name not in shown] == []


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == ExitStatus.OK
    assert f"pegel {name}" in capsys.readouterr().out


def test_help_imports_nothing_slow() -> None:
    code = f"import sys; from streams.cli import run; run(['--help']); sys.exit(bool({SLOW!r} & sys.modules.keys()))"
    code = code.replace(repr(SLOW), f"set({SLOW!r})")

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2.3 of {name}")

    assert run(["--version"]) == ExitStatus.OK
    assert capsys.readouterr().out == "pegel 1.2.3 of pegel\n"


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topix"]) == ExitStatus.USAGE
    assert "topics" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("x"), 2),
        (KafkaUnreachableError("x"), 3),
        (InvalidSchemaError("x"), 4),
        (ExpectedError("x"), 1),
    ],
)
def test_each_kind_of_failure_has_its_exit_status(error: ExpectedError, status: int) -> None:
    assert exit_status_of(error) == status


@pytest.mark.parametrize(
    "command", [["topics", "apply"], ["topics", "show"], ["dump", "product.events.v1"]], ids=" ".join
)
def test_kafka_that_does_not_answer_is_status_3_and_one_line(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGEL_KAFKA__REQUEST_TIMEOUT_MS", "1000")

    assert run([*command, "--bootstrap", NOBODY]) == ExitStatus.UNREACHABLE

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert NOBODY in captured.err
    assert "pegel dev kafka" in captured.err


def test_a_bad_setting_is_status_2_and_names_the_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGEL_WEB__PORT", "many")

    assert run(["config", "show"]) == ExitStatus.USAGE
    assert capsys.readouterr().err.startswith("pegel: PEGEL_WEB__PORT: web.port: ")


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_word() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from streams.cli import main; sys.argv[1:] = ['config', 'show']; main()"

    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(write)

    assert (done.returncode, done.stderr) == (1, b"")


def test_config_show_says_what_each_setting_is_and_who_set_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pegel.yaml"
    config.write_text("kafka:\n  topic_prefix: demo.\n")
    monkeypatch.setenv("PEGEL_KAFKA__SASL_PASSWORD", "correct-horse")

    assert run(["config", "show", "--origin", "--json", "--config", str(config), "--bootstrap", "b:1"]) == ExitStatus.OK

    captured = capsys.readouterr()
    rows = {row["name"]: row for row in map(json.loads, captured.out.splitlines())}
    assert rows["kafka.topic_prefix"]["origin"] == f"{config}:2"
    assert (rows["kafka.bootstrap"]["value"], rows["kafka.bootstrap"]["origin"]) == ("b:1", "option --bootstrap")
    assert "correct-horse" not in captured.out


def test_config_show_is_readable_without_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show"]) == ExitStatus.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["kafka.bootstrap", '"127.0.0.1:9092"']

    assert run(["config", "show", "--origin"]) == ExitStatus.OK
    assert capsys.readouterr().out.splitlines()[0].endswith("# default")


def test_a_misspelt_variable_is_warned_about(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGEL_WEB_PORT", "1")

    run(["config", "show"])

    assert "did you mean PEGEL_WEB__PORT?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "x", "--speed", "fast"], "60x or max"),
        (["publish", "x", "--key", "team"], "user, account"),
        (["publish", "x", "--pace-last", "7d"], "needs a --speed"),
        (["publish", "x", "--speed", "2x", "--pace-last", "soon"], "write 7d"),
        (["publish", "x", "--speed", "0.5x", "--shift-to-now"], "cannot be shifted"),
        (["publish", "/nowhere.ndjson", "--shift-to-now"], "No such file"),
        (["publish"], "FILE"),
        (["dump", "t", "--from-end"], "--follow"),
        (["dump", "t", "--max", "0"], "--max"),
        (["dev", "kafka", "--kind", "tape"], "docker, jars, mock"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_status_2_and_names_what_would(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitStatus.USAGE
    assert said in capsys.readouterr().err
