"""`pegel explain`, as a user calls it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from schemas.dead_letter import Rejected
from streams.catalogs import load_program
from streams.cli import ExitStatus, run
from streams.intake.identity import Identity
from streams.replay.lines import LineReader
from streams.replay.run import Replay

CATALOG = """\
format: 1
name: small
checklist: [{event: invited, count: 2}]
definitions: {runs: 'count("run", days=7)'}
segments:
  - {id: fresh, group: life, when: since(signed_up_at) < 3}
  - {id: old, group: life, when: "True"}
  - {id: busy, when: 'count("run", days=7) >= 3', exit_when: 'count("run", days=2) < 1', name: Busy bee}
  - {id: calm, when: 'since(last_active_at) >= 2'}
"""
RANKED = """\
format: 1
name: ranked
definitions: {runs: 'count("run", days=28)'}
segments: [{id: top, when: 'top_percent("runs", 40)'}]
"""


def event(account: str, day: int, name: str = "run", hour: int = 12, **fields: Any) -> str:
    at = f"2026-03-{day:02}T{hour:02}:00:00Z"
    record = {"type": "track", "event": name, "messageId": f"{account}-{day}-{hour}-{name}", "timestamp": at}
    return json.dumps({**record, "userId": "ada", "context": {"groupId": account}, **fields})


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Events of three accounts, and the catalog."""
    lines = [
        event("acme", 2), event("other", 2), event("acme", 2, "invited"), event("acme", 3), event("acme", 3, hour=13),
        event("other", 5), event("evil\x1b[31m", 5, "rm\x1b[2J"),
    ]  # fmt: skip
    (tmp_path / "events.ndjson").write_text("\n".join([lines[0], "not json", *lines[1:]]) + "\n")
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    return str(tmp_path / "events.ndjson"), str(tmp_path / "catalog.yaml")


def story(files: tuple[str, str], capsys: pytest.CaptureFixture[str], *options: str, account: str = "acme") -> Any:
    assert run(["explain", account, files[0], "--catalog", files[1], "--json", *options]) == ExitStatus.OK
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def text(files: tuple[str, str], capsys: pytest.CaptureFixture[str], *options: str, account: str = "acme") -> str:
    assert run(["explain", account, files[0], "--catalog", files[1], *options]) == ExitStatus.OK
    return capsys.readouterr().out


def test_without_a_time_it_is_the_newest_arrival_of_anyone(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(files, capsys)
    assert told["as_of"] == "2026-03-05T12:00:00.000Z"
    assert [segment["segment"] for segment in told["segments"] if segment["member"]] == ["old"]


def test_at_leaves_out_what_came_later_and_fires_what_was_due(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(files, capsys, "--at", "2026-03-03T12:30:00Z")
    assert told["facts"]["events"] == {"run": 2, "invited": 1}
    told = story(files, capsys, "--at", "2026-03-05T14:00:00Z")
    assert [segment["segment"] for segment in told["segments"] if segment["member"]] == ["old", "calm"]


def test_facts_are_the_accounts_own(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    facts = story(files, capsys)["facts"]
    assert facts["stage"] == "trial"
    assert facts["signed_up_at"] == "2026-03-02T12:00:00.000Z"
    assert facts["last_active_at"] == "2026-03-03T13:00:00.000Z"
    assert facts["checklist"] == [{"event": "invited", "needed": 2, "count": 1, "done_at": None}]
    assert (facts["activity"], facts["users"], facts["definitions"]) == (4, 1, {"runs": 3})


def test_the_timeline_tells_stays_with_their_causes(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    fresh, busy, old = story(files, capsys)["memberships"]
    assert (fresh["segment"], fresh["left_to"], fresh["dwell_seconds"]) == ("fresh", "old", 3 * 86_400)
    assert fresh["entered_because"]["trigger"] == {"message_id": "acme-2-12-run", "type": "track"}
    assert fresh["left_because"]["trigger"] == "deadline"
    assert (busy["entered_at"], busy["left_at"]) == ("2026-03-03T13:00:00.000Z", "2026-03-05T00:00:00.000Z")
    assert busy["left_because"]["held"] == ["count('run', days=2) < 1"]
    assert (old["entered_from"], old["left_at"], old["dwell_seconds"]) == ("fresh", None, 0)


def test_every_segment_tells_what_holds_and_what_would_change_it(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = {segment["segment"]: segment for segment in story(files, capsys, "--at", "2026-03-03T12:30:00Z")["segments"]}
    (part,) = told["busy"]["when"]["parts"]
    assert (part["holds"], part["values"]) == (False, {"count('run', days=7)": 2})
    assert part["missing"] == {"reading": "count('run', days=7)", "have": 2, "need": 3, "amount": 1}
    assert part["change"] == "1 more run in 7 days (now 2 of 3)"
    assert told["fresh"]["forecast"] == {"leaves_at": "2026-03-05T12:00:00.000Z", "direction": "moved", "to": "old"}
    assert told["calm"]["enters_at"] == "2026-03-05T12:00:00.000Z"


def test_as_text_it_is_a_story_without_colours(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    told = text(files, capsys, "--at", "2026-03-03T13:30:00Z")
    assert "\x1b" not in told
    lines = [line.strip() for line in told.splitlines()]
    assert lines[0] == "acme  as of 2026-03-03 13:30"
    assert "● fresh  since 2026-03-02 12:00 (25.5 hours ago); moves to old in 46.5 hours if nothing happens" in lines
    assert "○ calm   enters in 47.5 hours if nothing happens" in lines
    assert "entered by track acme-3-13-run: count('run', days=7) = 3, count('run', days=2) = 3" in lines
    assert "○ old  its rule holds, but fresh has the place in life" in lines
    assert "✗ invited: 1 of 2" in lines


def test_what_came_from_producers_cannot_drive_a_terminal(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = text(files, capsys, "--all", account="evil\x1b[31m")
    assert "\x1b" not in told
    assert told.startswith("evil\ufffd[31m")


def test_a_long_timeline_is_cut_unless_all_is_wanted(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tmp_path / "many.ndjson"
    many.write_text("\n".join(event("acme", day) for day in range(1, 29, 3)) + "\n")
    rules = tmp_path / "daily.yaml"
    rules.write_text(
        "format: 1\nname: daily\nsegments:\n"
        + "".join(f"  - {{id: s{place}, when: 'count(\"run\", days=1) >= 1'}}\n" for place in range(3))
    )
    cut = text((str(many), str(rules)), capsys)
    whole = text((str(many), str(rules)), capsys, "--all")
    assert "15 earlier ones: --all shows them" in cut
    assert "earlier ones" not in whole
    assert whole.count("entered by track") == 30


def test_an_unknown_account_is_told_the_nearest(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "amce", files[0], "--catalog", files[1]]) == ExitStatus.FAILURE
    told = capsys.readouterr()
    assert "there is no account 'amce' in what was read, but 3 others; did you mean 'acme'?" in told.err
    assert told.out == ""


def test_lines_that_cannot_be_used_are_told_apart_from_the_story(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["explain", "acme", files[0], "--catalog", files[1], "--json"])
    told = capsys.readouterr()
    assert "events.ndjson:2: not_json" in told.err
    assert len(told.out.splitlines()) == 1


def test_ranks_are_among_all_accounts(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ranked.yaml").write_text(RANKED)
    told = story((files[0], str(tmp_path / "ranked.yaml")), capsys, "--at", "2026-03-04T12:00:00Z")
    assert [segment["member"] for segment in told["segments"]] == [True]
    other = story((files[0], str(tmp_path / "ranked.yaml")), capsys, "--at", "2026-03-04T12:00:00Z", account="other")
    assert [segment["member"] for segment in other["segments"]] == [False]
    assert other["segments"][0]["when"]["parts"][0]["missing"]["amount"] == 2


@pytest.mark.parametrize("arguments", [["acme"], ["acme", "x.ndjson", "--from-kafka"], ["acme", "missing.ndjson"]])
def test_wrong_usage_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", *arguments]) == ExitStatus.USAGE
    assert capsys.readouterr().err.startswith("pegel: ")


def test_other_accounts_cost_no_state(files: tuple[str, str]) -> None:
    followed = Replay(load_program("default"), Identity(None, learns=True).take, takes="acme".__eq__)
    for line in LineReader([files[0]]):
        with suppress(Rejected):
            followed.feed(line)
    assert (followed.accounts, len(followed.seen_accounts)) == (1, 3)
