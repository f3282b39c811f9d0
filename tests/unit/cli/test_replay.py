"""`pegel replay`, as a user calls it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.generate import json_schema
from schemas.timestamps import format_ms
from streams.cli import ExitStatus, run
from streams.cli.bad_lines import SHOWN_MAX
from tests.unit.engine.building import DAY, HOUR, START, catalog_of
from tests.unit.replay.dumps import catalog_change, clock, envelope

CATALOG = """\
format: 1
name: small
segments:
  - {id: busy, when: 'count("*", days=1) >= 2'}
  - {id: away, when: 'since(last_active_at) >= 2'}
"""


def event(t: int, account: str = "acme", **more: Any) -> dict[str, Any]:
    plain = {"type": "track", "event": "a", "messageId": f"{account}{t}", "timestamp": format_ms(t)}
    return plain | {"context": {"groupId": account}} | more


class Shell:
    """A folder, and the command run in it."""

    def __init__(self, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self._folder = folder
        self._captured = capfdbinary
        self.write("c.yaml", CATALOG)
        self.out: list[dict[str, Any]] = []
        self.err = ""

    def write(self, name: str, content: str | bytes) -> str:
        path = self._folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def events(self, name: str, *events: dict[str, Any] | str) -> str:
        return self.write(name, "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in events))

    def replay(self, *arguments: str) -> int:
        status = run(["replay", *(str(self._folder / one) if one == "c.yaml" else one for one in arguments)])
        captured = self._captured.readouterr()
        self.out = [json.loads(line) for line in captured.out.splitlines()]
        self.err = captured.err.decode().replace(f"{self._folder}/", "").replace("pegel: ", "")
        return status


@pytest.fixture
def shell(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    return Shell(tmp_path, capfdbinary)


def test_transitions_go_to_standard_output_and_the_summary_to_standard_error(shell: Shell) -> None:
    file = shell.events("f", event(START), event(START + 1), event(START, "bolt"))
    assert shell.replay(file, "--catalog", "c.yaml", "--until", "2026-03-10T00:00:00Z") == ExitStatus.OK
    assert [(one["account_id"], one["segment"], one["direction"], one["sequence"]) for one in shell.out] == [
        ("acme", "busy", "entered", 1),
        ("acme", "busy", "exited", 2),
        ("bolt", "away", "entered", 1),
        ("acme", "away", "entered", 3),
    ]
    assert shell.err.startswith("3 applied; 2 accounts; 4 transitions\n")
    assert "  busy  entered 1  exited 1\n" in shell.err


def test_each_line_is_a_transition_by_its_schema_and_the_same_on_every_replay(shell: Shell) -> None:
    file = shell.events("f", event(START), event(START + 1))
    arguments = (file, "--catalog", "c.yaml", "--until", "2026-03-10T00:00:00Z")
    shell.replay(*arguments)
    first = shell.out
    for transition in first:
        jsonschema.validate(transition, json_schema("transition"))
        assert transition["emitted_at"] is None
    shell.replay(*arguments)
    assert shell.out == first
    assert len({one["transition_id"] for one in first}) == len(first)


def test_output_is_in_the_order_of_time_account_and_sequence(shell: Shell) -> None:
    file = shell.events("f", *(event(START + place % 3 * HOUR, f"a{place % 4}") for place in range(24)))
    shell.replay(file, "--catalog", "c.yaml", "--until", "2026-03-20T00:00:00Z")
    order = [(one["effective_at"], one["account_id"], one["sequence"]) for one in shell.out]
    assert order == sorted(order) != []


def test_files_are_one_log_in_argument_order_packed_or_not(shell: Shell) -> None:
    one = shell.write("one.gz", gzip.compress(json.dumps(event(START)).encode()))
    other = shell.events("other", event(START + 1))
    assert shell.replay(one, other, "--catalog", "c.yaml") == ExitStatus.OK
    assert [found["effective_at"] for found in shell.out] == [format_ms(START + 1)]


def test_lines_that_cannot_be_used_are_told_by_file_and_line_and_the_rest_is_taken(shell: Shell) -> None:
    file = shell.events("f", "", event(START), "{", '{"type": "delete"}', event(START + 1), "[]")
    assert shell.replay(file, "--catalog", "c.yaml") == ExitStatus.OK
    told = shell.err.splitlines()
    assert [line.split(" ")[0] for line in told[:3]] == ["f:3:", "f:4:", "f:6:"]
    assert "not_json" in told[0]
    assert told[3:5] == [
        "2 applied; 1 accounts; 1 transitions",
        "rejected: 3 (not_json 1, unknown_type 1, not_an_object 1)",
    ]
    assert len(shell.out) == 1


def test_strict_stops_at_the_first_of_them_and_fails(shell: Shell) -> None:
    file = shell.events("f", event(START), event(START + 1), "{", event(START + 2, "bolt"), event(START + 3, "bolt"))
    assert shell.replay(file, "--catalog", "c.yaml", "--strict") == ExitStatus.FAILURE
    assert {one["account_id"] for one in shell.out} == {"acme"}
    assert "f:3: not_json" in shell.err
    assert shell.replay(shell.events("g", event(START)), "--catalog", "c.yaml", "--strict") == ExitStatus.OK


def test_a_flood_of_bad_lines_is_counted_not_shown(shell: Shell) -> None:
    shell.replay(shell.events("f", *["{"] * (SHOWN_MAX + 50)), "--catalog", "c.yaml")
    assert shell.err.count("f:") == SHOWN_MAX
    assert f"rejected: {SHOWN_MAX + 50} (not_json {SHOWN_MAX + 50})" in shell.err
    assert "no events; 0 accounts; 0 transitions" in shell.err


def test_until_leaves_out_and_says_so(shell: Shell) -> None:
    file = shell.events("f", event(START), event(START + DAY))
    assert shell.replay(file, "--catalog", "c.yaml", "--until", format_ms(START + HOUR)) == ExitStatus.OK
    assert "1 applied" in shell.err
    assert "after --until: 1" in shell.err


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--until", "yesterday"), ExitStatus.USAGE, "--until: 'yesterday' is no RFC 3339 time; write it like"),
        (("--catalog", "missing.yaml"), ExitStatus.INVALID, "missing.yaml"),
        (("--catalog", "defualt"), ExitStatus.INVALID, "did you mean 'default'?"),
        (("missing.ndjson",), ExitStatus.USAGE, "missing.ndjson: No such file or directory"),
        (("--nonsense",), ExitStatus.USAGE, "--nonsense"),
        (("--jobs", "0"), ExitStatus.USAGE, "--jobs"),
        (("-", "--jobs", "2"), ExitStatus.USAGE, "--jobs 2 reads the files 2 times: name files, or use --jobs 1"),
    ],
)
def test_arguments_that_cannot_be_used_are_told_in_a_line(
    shell: Shell, arguments: tuple[str, ...], status: int, told: str
) -> None:
    assert shell.replay(shell.events("f", event(START)), *arguments) == status
    assert told in shell.err
    assert shell.out == []
    assert "Traceback" not in shell.err


def test_a_broken_catalog_is_told_with_its_place(shell: Shell) -> None:
    broken = shell.write("broken.yaml", CATALOG.replace("count", "cuont"))
    assert shell.replay(shell.events("f"), "--catalog", broken) == ExitStatus.INVALID
    assert "did you mean 'count'?" in shell.err
    assert "broken.yaml" in shell.err


def test_a_damaged_file_fails_in_a_line(shell: Shell) -> None:
    file = shell.write("f.gz", gzip.compress(json.dumps(event(START)).encode() * 1_000)[:-8])
    assert shell.replay(file, "--catalog", "c.yaml") == ExitStatus.FAILURE
    assert "f.gz:1: cannot be read" in shell.err


def test_without_files_there_is_nothing_to_do(shell: Shell) -> None:
    assert shell.replay() == ExitStatus.USAGE


def test_a_dump_is_replayed_by_the_rules_that_it_names(shell: Shell) -> None:
    catalog = catalog_of({"id": "named", "when": 'count("*") > 0'})
    payload = {key: value for key, value in event(START).items() if key != "context"}
    dump = shell.events("dump", catalog_change(catalog, START), envelope(payload, START), clock(START + DAY))
    assert shell.replay(dump) == ExitStatus.OK
    assert [one["segment"] for one in shell.out] == ["named"]
    assert "control records: 2 (" in shell.err
    assert shell.replay(dump, "--catalog", "c.yaml") == ExitStatus.OK
    assert shell.out == [], "a catalog that is given goes before"


def test_standard_input_is_a_file_like_others(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CATALOG)
    lines = "".join(f"{json.dumps(event(START + place))}\n" for place in range(2))
    ended = subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", "replay", "-", "--catalog", tmp_path / "c.yaml"],
        input=lines.encode(),
        capture_output=True,
        check=True,
    )
    assert json.loads(ended.stdout)["segment"] == "busy"
    assert b"2 applied; 1 accounts; 1 transitions" in ended.stderr


def test_the_built_in_catalog_is_the_default(shell: Shell) -> None:
    shell.replay(shell.events("f", event(START)))
    assert {"new_trial", "not_activated", "new"} <= {one["segment"] for one in shell.out}


def test_several_processes_write_what_one_writes_and_say_the_same(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    events = [event(START + place % 7 * DAY + place, f"account{place % 11}") for place in range(300)]
    (tmp_path / "f").write_text("".join(f"{json.dumps(one)}\n" for one in events) + "{\n" * 150)
    (tmp_path / "c.yaml").write_text(CATALOG)
    written = []
    for jobs in ("1", "2", "5"):
        assert (
            run(["replay", str(tmp_path / "f"), "--catalog", str(tmp_path / "c.yaml"), "--jobs", jobs]) == ExitStatus.OK
        )
        written.append(capfdbinary.readouterr())
    assert written[0] == written[1] == written[2]
    assert written[0].out.count(b"\n") > 20
    assert written[0].err.count(b"not_json") == SHOWN_MAX + 1
