"""`pegel catalog`, as a user calls it."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas.catalog import Catalog
from schemas.generate import json_schema
from streams.catalogs import BUILT_IN, load_program
from streams.cli import ExitStatus, run

CATALOGS = Path(__file__).parents[3] / "streams" / "catalogs"
ENTRIES = ", ".join([*Catalog.model_fields, "extends"])
SMALL = """\
format: 1
name: small
weights: {a: 2.5}
segments:
  - {id: busy, when: 'score(days=7) > 3', min_dwell_days: 1, description: Much is done., owner: me}
  - {id: big, group: size, when: seats > 10}
"""


def written(tmp_path: Path, text: str, name: str = "t.yaml") -> str:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_check_says_what_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "check", *BUILT_IN]) == ExitStatus.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(BUILT_IN)
    assert load_program("default").version in lines[0]


def test_check_points_at_each_fault_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = written(tmp_path, SMALL.replace("score", "scor").replace("weights", "wieghts"))
    assert run(["catalog", "check", "default", bad]) == ExitStatus.INVALID
    shown = capsys.readouterr()
    assert shown.out.replace(f"{tmp_path}/", "").splitlines()[1:] == [
        f"error: t.yaml:3:1: wieghts: there is no such entry; there are {ENTRIES}; did you mean 'weights'?",
        "    wieghts: {a: 2.5}",
        "    ^",
        "error: t.yaml:5:23: segments 'busy' when: the function 'scor' is not known; did you mean 'score'?",
        "      - {id: busy, when: 'scor(days=7) > 3', min_dwell_days: 1, description: Much is done., owner: me}",
        "                          ^",
    ]
    assert shown.err == "pegel: 1 of 2 catalogs cannot be used\n"


def test_check_writes_warnings_as_json_and_does_not_fail_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, SMALL.replace("score(days=7) > 3", "seats > 3 and seats < 2"))
    assert run(["catalog", "check", "--json", file]) == ExitStatus.OK
    found = rows(capsys)
    assert [(row["line"], row["column"], row["severity"], row["entry"]) for row in found] == [
        (3, 10, "warning", "weights"), (5, 22, "warning", "segments 'busy' when"),
    ]  # fmt: skip
    assert set(found[0]) == {"file", "line", "column", "severity", "entry", "message"}


@pytest.mark.parametrize("command", [["show"], ["diff", "default"], ["check"]])
def test_a_catalog_that_is_none_is_an_invalid_schema(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", *command, "defalut"]) == ExitStatus.INVALID
    shown = capsys.readouterr()
    assert "did you mean 'default'?" in shown.out + shown.err


def test_show_is_made_for_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, SMALL)
    over = written(tmp_path, "format: 1\nname: over\nextends: t.yaml\n", "over.yaml")
    assert run(["catalog", "show", over]) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert shown.startswith(f"over, version {load_program(over).version}\n{over} extends {file}\n")
    assert "weights        a 2.5, all others 1\n" in shown
    assert shown.endswith(
        """
busy
    Much is done.
    when           score(days=7) > 3
    waits          stays at least 1 day
    owner          me

group size: the first of its segments that holds

big
    when           seats > 10
    group          size
"""
    )


@pytest.mark.parametrize("name", [*BUILT_IN, str(CATALOGS / "starter.yaml")])
def test_what_show_resolves_is_the_same_catalog(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "show", name, "--resolved"]) == ExitStatus.OK
    resolved = written(tmp_path, capsys.readouterr().out)
    assert "extends" not in yaml.safe_load(Path(resolved).read_text())
    assert load_program(resolved).version == load_program(name).version
    assert run(["catalog", "show", name, "--json"]) == ExitStatus.OK
    (row,) = rows(capsys)
    assert row["version"] == load_program(name).version
    assert [one["id"] for one in row["segments"]] == [one.id for one in load_program(name).catalog.segments]


def test_diff_tells_by_its_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = written(tmp_path, SMALL), written(tmp_path, SMALL.replace("> 10", "> 20"), "other.yaml")
    assert run(["catalog", "diff", one, one]) == ExitStatus.OK
    assert capsys.readouterr().out == ""
    assert run(["catalog", "diff", one, other]) == ExitStatus.FAILURE
    assert capsys.readouterr().out == "~ segments big when: seats > 10 -> seats > 20\n"
    assert run(["catalog", "diff", one, other, "--json"]) == ExitStatus.FAILURE
    assert rows(capsys) == [
        {
            "section": "segments", "name": "big", "field": "when", "change": "changed",
            "old": "seats > 10", "new": "seats > 20",
        }
    ]  # fmt: skip


def test_init_writes_a_catalog_that_is_good_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    assert run(["catalog", "init", str(file)]) == ExitStatus.OK
    assert run(["catalog", "check", str(file)]) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert "good" in shown
    assert "warning" not in shown
    file.write_text("mine")
    assert run(["catalog", "init", str(file)]) == ExitStatus.USAGE
    assert file.read_text() == "mine"
    assert run(["catalog", "init", str(tmp_path / "no" / "such")]) == ExitStatus.USAGE


def test_every_example_in_the_starter_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "init", "-"]) == ExitStatus.OK
    lines = capsys.readouterr().out.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("format"))
    hidden = [
        number
        for number, line in enumerate(lines)
        if number > begin and re.match(r" *# .*({.*}$|events:|measures:)", line)
    ]
    examples = [line.replace("# ", "", 1) if number in hidden else line for number, line in enumerate(lines)]
    file = written(tmp_path, "\n".join(examples))
    assert run(["catalog", "check", file]) == ExitStatus.OK
    ids = {segment.id for segment in load_program(file).segments}
    assert {"fintech", "renews_soon", "tier_large", "tier_small"} <= ids
    assert set(load_program(file).catalog.measures) == {"rows"}


@pytest.mark.parametrize("name", ["default", "oss", "starter"])
def test_editors_accept_what_the_loader_does(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema("catalog"))
    validator.validate(yaml.safe_load((CATALOGS / f"{name}.yaml").read_text()))


@pytest.mark.parametrize(
    "change",
    [
        {"trail_days": 3},
        {"trial_days": -1},
        {"segments": [{"name": "no id"}]},
        {"weights": {"a": "much"}},
        {"measures": {"m": {"event": "a", "property": "b", "aggregate": "avg"}}},
    ],
)
def test_editors_refuse_what_the_loader_refuses(change: dict[str, Any], tmp_path: Path) -> None:
    plain = {"format": 1, "name": "x", "extends": "default", **change}
    assert not jsonschema.Draft202012Validator(json_schema("catalog")).is_valid(plain)
    assert run(["catalog", "check", written(tmp_path, yaml.safe_dump(plain))]) == ExitStatus.INVALID


def test_editors_ask_for_segments_where_nothing_is_extended() -> None:
    validator = jsonschema.Draft202012Validator(json_schema("catalog"))
    assert not validator.is_valid({"format": 1, "name": "x"})
    assert validator.is_valid({"format": 1, "name": "x", "extends": "default"})


def event(account: str, name: str, day: int, user: str = "u") -> str:
    at = f"2026-03-{day:02}T12:00:00Z"
    fields = {"type": "track", "event": name, "userId": user, "timestamp": at, "context": {"groupId": account}}
    return json.dumps(fields | {"messageId": f"{account}{name}{day}"})


def simulated(tmp_path: Path, *arguments: str, text: str | None = None) -> tuple[int, list[str]]:
    """Under `old` an account is busy after two events in a week, under `new` after one; a third account is quiet."""
    lines = [event("a", "x", 1), event("b", "x", 1), event("b", "x", 2), "no json", event("c", "seen", 20)]
    events = written(tmp_path, "\n".join(lines) if text is None else text, "events.ndjson")
    rule = (
        "format: 1\nname: N\nsegments:\n  - {id: busy, when: 'count(\"x\", days=30) >= K'}\n  - {id: all, when: True}\n"
    )
    old = written(tmp_path, rule.replace("N", "old").replace("K", "2"), "old.yaml")
    new = written(tmp_path, rule.replace("N", "new").replace("K", "1"), "new.yaml")
    return run(["catalog", "simulate", new, events, "--against", old, *arguments]), [old, new, events]


def test_simulate_says_who_enters_and_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulated(tmp_path, "--json", "--list")[0] == ExitStatus.OK
    shown = capsys.readouterr()
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert shown.err == "pegel: 1 lines cannot be used; `pegel replay` says why\n"
    assert found[0] | {"old": "", "new": ""} == {
        "kind": "run", "old": "", "new": "", "accounts": 3, "from": "2026-03-01T12:00:00.000Z",
        "to": "2026-03-20T12:00:00.000Z", "weeks": 2.714,
    }  # fmt: skip
    segments = {row["segment"]: row for row in found if row["kind"] == "segment"}
    assert [segments["busy"][side]["size"] for side in ("old", "new")] == [1, 2]
    assert (segments["busy"]["enters"], segments["busy"]["leaves"], segments["all"]["enters"]) == (1, 0, 0)
    assert [row for row in found if row["kind"] == "overlap"] == [
        {"kind": "overlap", "segments": ["busy", "all"], "old": 1, "new": 2, "share": 1.0}
    ]
    assert [row for row in found if row["kind"] == "account"] == [
        {"kind": "account", "account_id": "a", "segment": "busy", "change": "enters"}
    ]


def test_simulate_brings_all_accounts_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the event of the 20th the others' windows would not have moved; a later end empties them."""
    assert simulated(tmp_path, "--json", "--until", "2026-04-20T00:00:00Z")[0] == ExitStatus.OK
    sizes = {row["segment"]: row["new"]["size"] for row in rows(capsys) if row["kind"] == "segment"}
    assert sizes == {"busy": 0, "all": 3}


def test_simulate_gives_one_table_and_the_same_from_two_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    playbook = ["--playbook", "console"]
    assert simulated(tmp_path, "--list", *playbook)[0] == ExitStatus.OK
    shown = capsys.readouterr().out
    table = [line.split() for line in shown.splitlines()]
    assert ["busy", "1", ">", "2", "1", "0", "0.4", ">", "0.7", "1", ">", "2", "1", "1", "0.0%"] in table
    assert shown.endswith("a enters busy\n")
    assert simulated(tmp_path, "--list", "--jobs", "2", *playbook)[0] == ExitStatus.OK
    assert capsys.readouterr().out == shown


def test_simulate_warns_of_plays_that_wait_in_vain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulated(tmp_path, "--playbook", "starter")[0] == ExitStatus.OK
    assert "waits for at_risk, which NEW does not have" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--until", "yesterday"], ExitStatus.USAGE),
        (["--since", "2027-01-01T00:00:00Z"], ExitStatus.USAGE),
        (["--against", "nothing"], ExitStatus.INVALID),
        (["--playbook", "nothing"], ExitStatus.INVALID),
        (["--jobs", "2", "-"], ExitStatus.USAGE),
        (["no-such-file"], ExitStatus.USAGE),
    ],
)
def test_simulate_refuses_what_it_cannot_use(arguments: list[str], status: ExitStatus, tmp_path: Path) -> None:
    assert simulated(tmp_path, *arguments)[0] == status


def test_simulate_of_nothing_is_a_usage_error(tmp_path: Path) -> None:
    assert simulated(tmp_path, text="")[0] == ExitStatus.USAGE
