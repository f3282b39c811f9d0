"""Plays to destinations that keep a state per account."""

from pathlib import Path

import pytest

from streams.notify.playbooks import PlaybookError, load_playbooks

GOOD = """\
format: 1
name: mine
destinations:
  - id: crm
    type: hubspot
    token: ${TOKEN}
    properties: {pegel_lifecycle: current}
  - {id: team, type: console}
templates:
  plain: {title: "{{ account }}"}
plays:
  - id: stage
    group: lifecycle
    directions: [entered, exited]
    template: plain
    destination: crm
"""


def warned(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return [str(warning) for warning in load_playbooks(str(path), {"TOKEN": "pat-1"}).warnings]


def test_a_play_that_tells_exits_is_well(tmp_path: Path) -> None:
    assert warned(tmp_path, GOOD) == []


@pytest.mark.parametrize("written", ["", "    directions: [entered, moved]\n", "    direction: entered\n"])
def test_one_that_does_not_is_warned_of(tmp_path: Path, written: str) -> None:
    [warning] = warned(tmp_path, GOOD.replace("    directions: [entered, exited]\n", written))
    assert (
        "exits are not told: crm keeps saying what accounts have left; write directions: [entered, exited]" in warning
    )
    elsewhere = GOOD.replace("    directions: [entered, exited]\n", written).replace(
        "destination: crm", "destination: team"
    )
    assert warned(tmp_path, elsewhere) == []


@pytest.mark.parametrize("written", ["cooldown_days: 7", "reentry: once", "inhibited_by: [churned]"])
def test_what_holds_changes_back_is_warned_of(tmp_path: Path, written: str) -> None:
    [warning] = warned(tmp_path, GOOD + f"    {written}\n")
    assert warned(tmp_path, GOOD + "    reentry: always\n") == []
    assert f"mine.yaml:17: plays 'stage' {written.partition(':')[0]}: holds changes back" in warning


def test_a_list_is_refused(tmp_path: Path) -> None:
    listed = GOOD.replace("    group: lifecycle\n    directions: [entered, exited]\n",
                          '    on: {digest: "0 8 * * *"}\n    list: {segment: new_trial}\n')  # fmt: skip
    with pytest.raises(PlaybookError, match="a list says nothing of what changed; send it to another destination"):
        warned(tmp_path, listed)
    assert warned(tmp_path, listed.replace("destination: crm", "destination: team")) == []
