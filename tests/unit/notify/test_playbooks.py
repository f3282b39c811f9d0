"""Playbooks: what is accepted, and that every fault is told with its place, reason and fix."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from schemas.playbook import Play
from schemas.transition import Direction
from streams.cli import COMMANDS, run
from streams.cli import playbook as playbook_cli
from streams.connectors.dialects import Dialect
from streams.connectors.registry import CONNECTORS
from streams.notify.playbooks import PlaybookError, Playbooks, load_playbooks
from streams.notify.playbooks.document import parse
from streams.notify.playbooks.samples import delivery, sample
from tests.unit.notify.world import delivery as open_delivery

URL = "https://hooks.slack.example/services/T0/B0/very-secret-token"
ENVIRONMENT = {"TEAM_URL": URL, "PEGEL_SLACK_WEBHOOK_URL": URL, "HOOK_SECRET": "whsec_" + "A" * 32, "EMPTY": ""}

TYPES = ", ".join(sorted(CONNECTORS))

GOOD = """\
format: 1
name: mine
destinations:
  - id: team
    type: slack
    url: ${TEAM_URL}
templates:
  plain:
    title: "{{ account }}"
    body: "{{ evidence | why }}"
plays:
  - id: save
    segment: at_risk
    template: plain
    destination: team
"""


def loaded(tmp_path: Path, text: str = GOOD) -> Playbooks:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return load_playbooks(str(file), ENVIRONMENT)


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(PlaybookError) as caught:
        loaded(tmp_path, text)
    assert "very-secret-token" not in str(caught.value)
    return [line.replace(f"{tmp_path}/", "") for line in str(caught.value).splitlines()]


def test_a_playbook_is_read_with_its_secrets_hidden(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert [one.id for one in found.plays] == ["save"]
    assert (found.plays[0].segments, found.plays[0].directions) == (("at_risk",), (Direction.ENTERED,))
    assert "very-secret-token" not in repr(found)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("destination: team", "destination: taem",
         "15: plays 'save' destination: there is no destination 'taem'; did you mean team?"),
        ("template: plain", "template: plan",
         "14: plays 'save' template: there is no template 'plan'; did you mean plain?"),
        ("type: slack", "type: slak", "5: destinations 'team' type: there is no type 'slak'; did you mean slack?"),
        ("    type: slack\n", "", f"4: destinations 'team' type: has no type; there is {TYPES}"),
        ("TEAM_URL", "TEAM_URI",
         "6: destinations 'team' url: the environment variable TEAM_URI is not set; did you mean TEAM_URL?"),
        ("TEAM_URL", "EMPTY",
         "6: destinations 'team' url: the environment variable EMPTY is empty; give it a value"),
        ("${TEAM_URL}", "${TEAM_URL",
         "6: destinations 'team' url: ${ begins no variable; write ${NAME}, or $$ for a dollar sign"),
        ("${TEAM_URL}", "http://example.com/very-secret-token",
         ("4: destinations 'team': the URL must begin with https://; "
          "allow_http: true permits http to this machine")),
        ("    url: ${TEAM_URL}\n", "", "4: destinations 'team' url: is missing"),
        ("    url:", "    timeout_s: 0\n    url:",
         "6: destinations 'team' timeout_s: input should be greater than 0"),
        ("    url:", "    timeout: 3\n    url:",
         "6: destinations 'team' timeout: there is no such entry; did you mean timeout_s?"),
        ("segment: at_risk", "segmnt: at_risk",
         "12: plays 'save': say which transitions: segment, segments or group; segment: \"*\" is every one"),
        ("segment: at_risk", "segment: at_risk\n    directoin: entered",
         "14: plays 'save' directoin: there is no such entry; did you mean direction?"),
        ("segment: at_risk", "segment: at_risk\n    direction: left",
         "12: plays 'save' directions 0: input should be 'entered', 'exited' or 'moved'"),
        ("segment: at_risk", "segment: at_risk\n    segments: [x]",
         "12: plays 'save': give segment or segments, not both"),
        ("{{ account }}", "{{ acount }}",
         "9: templates 'plain' title: line 1 of the template: acount is not defined; did you mean account?"),
        ("| why", "| wy",
         "10: templates 'plain' body: line 1 of the template: No filter named 'wy'; did you mean why?"),
        ("format: 1", "format: 2", "1: format: input should be 1"),
        ("name: mine", "nam: mine", "2: nam: there is no such entry; did you mean name?"),
        ("name: mine", "name: mine\nname: again", "3: name: stands twice; remove one"),
        ("name: mine", "name: mine\nextends: starterr",
         "3: extends: there is no file and no playbook 'starterr'; did you mean starter?"),
        ("plays:", "plays:\n  - just text", "12: plays: is a list of maps with an id"),
        ("plays:", "plays:\n  - {id: save}",
         "13: plays 'save': has the id of another; rename one"),
        ("  - id: save\n", "  - \n", "13: plays '0' id: is missing"),
        ("title:", "title: &a", None),
        ('body: "{{ evidence | why }}"', "body: [1]", "10: templates 'plain' body: input should be a valid string"),
        ("format: 1", "format: [", ""),
        ("format: 1", "- 1", ""),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_reason_and_fix(tmp_path: Path, old: str, new: str, fault: str | None) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    if fault is None:
        loaded(tmp_path, text)
        return
    told = faults(tmp_path, text)
    assert f"mine.yaml:{fault}" in told or (not fault and told), told


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("destination: team", "destination: x").replace("template: plain", "template: y")
    text = text.replace("TEAM_URL", "NOWHERE").replace("| why", "| wy")
    assert len(faults(tmp_path, text)) == 4


def test_aliases_are_refused(tmp_path: Path) -> None:
    text = GOOD.replace("title:", "title: &a").replace('body: "{{ evidence | why }}"', "body: *a")
    assert faults(tmp_path, text) == ["mine.yaml:9: templates plain body: is an alias; write it out"]


@pytest.mark.parametrize(
    "text", ["", "a", "[]", "null", "\x00", "{", "a: " + "[" * 10_000, "!!python/object:os.system x"]
)
def test_what_is_no_playbook_is_told_of(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)


@settings(deadline=None)
@given(text=st.text(alphabet="abc:-{}[]&*!|>'\"\n #1", max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(PlaybookError):
        assert parse("x", text).tree is not None


def test_a_secret_in_the_file_is_warned_of(tmp_path: Path) -> None:
    [warning] = loaded(tmp_path, GOOD.replace("${TEAM_URL}", URL)).warnings
    assert "very-secret-token" not in str(warning)
    assert "stands in the file; write ${VARIABLE}, urls are secret" in str(warning)


def test_a_template_that_needs_evidence_is_warned_of(tmp_path: Path) -> None:
    [warning] = loaded(tmp_path, GOOD.replace("evidence | why", "values['x'] | number")).warnings
    assert "fails when the evidence is empty" in str(warning)


def test_dollar_signs_may_be_written(tmp_path: Path) -> None:
    found = loaded(tmp_path, GOOD.replace("${TEAM_URL}", "https://hooks.example/$$x${EXTRA}").replace("${EXTRA}", ""))
    url = found.destinations["team"].url  # type: ignore[attr-defined]
    assert url.get_secret_value() == "https://hooks.example/$x"


def test_a_playbook_is_laid_over_what_it_extends(tmp_path: Path) -> None:
    text = """\
format: 1
name: mine
extends: starter
destinations:
  - {id: team, url: "http://127.0.0.1:9/x", allow_http: true, rate_per_s: 5}
templates:
  at_risk: {title: "{{ account }} again"}
plays:
  - {id: save, max_age_h: 2}
  - {id: mine, segment: mine, template: plain, destination: team}
"""
    found, base = loaded(tmp_path, text), load_playbooks("starter", ENVIRONMENT)
    assert [one.id for one in found.plays] == [*(one.id for one in base.plays), "mine"]
    save = next(one for one in found.plays if one.id == "save")
    assert (save.max_age_h, save.template) == (2, "at_risk")
    assert found.destinations["team"].rate_per_s == 5
    news = sample("at_risk", Direction.ENTERED)
    told = delivery(save, news)
    mine, theirs = (one.words["at_risk", Dialect.SLACK].rendered(told) for one in (found, base))
    assert (mine.title, mine.body) == ("acme.example again", theirs.body)


def test_going_round_in_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("format: 1\nname: a\nextends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("format: 1\nname: b\nextends: a.yaml\n")
    with pytest.raises(PlaybookError, match="circle"):
        load_playbooks(str(tmp_path / "a.yaml"), {})


def test_a_folder_is_one_playbook_and_the_same_id_in_two_files_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    more = "format: 1\nname: more\nplays:\n  - {id: more, segment: x, template: plain, destination: team}\n"
    (tmp_path / "b.yaml").write_text(more)
    assert [one.id for one in load_playbooks(str(tmp_path), ENVIRONMENT).plays] == ["save", "more"]
    (tmp_path / "b.yaml").write_text(more.replace("id: more", "id: save"))
    with pytest.raises(PlaybookError, match=r"b\.yaml:4: plays 'save': stands also in .*a\.yaml:12; rename one"):
        load_playbooks(str(tmp_path), ENVIRONMENT)


def test_a_play_says_one_or_many() -> None:
    one = Play.model_validate({"id": "a", "segment": "x", "direction": "exited", "template": "t", "destination": "d"})
    many = Play.model_validate(
        {"id": "a", "segments": ["x"], "directions": ["exited"], "template": "t", "destination": "d"}
    )
    assert one == many


def test_check_prints_the_plays_and_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_URL", URL)
    (tmp_path / "mine.yaml").write_text(GOOD)
    result = CliRunner().invoke(playbook_cli.app, ["check", str(tmp_path / "mine.yaml"), "--catalog", "default"])
    assert (result.exit_code, result.stdout) == (
        0, "save: entered at_risk -> team (slack), in the words of plain\n",
    )  # fmt: skip


def test_check_without_the_environment_needs_no_secrets() -> None:
    result = CliRunner().invoke(playbook_cli.app, ["check", "starter", "--without-environment"])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) >= 6


def test_check_names_segments_that_the_catalog_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("segment: at_risk", "segment: at_riks"))
    result = CliRunner().invoke(
        playbook_cli.app, ["check", str(tmp_path / "mine.yaml"), "--catalog", "default", "--without-environment"]
    )
    assert "plays 'save' segment: the catalog has no segment 'at_riks'; did you mean at_risk?" in str(result.exception)


def test_a_faulty_playbook_ends_the_command_with_the_status_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "playbook", "streams.cli.playbook")
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert run(["playbook", "check", str(tmp_path / "mine.yaml")]) == 4
    assert "TEAM_URL is not set" in capsys.readouterr().err


def test_an_open_delivery_keeps_the_quiet_hours_of_its_accounts_own_zone(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(
        """
format: 1
name: ours
timezone: UTC
destinations: [{id: team, type: console, quiet_hours: {from: "18:00", to: "08:00", zone: account}}]
templates: {plain: {title: "{{ account }}"}}
plays: [{id: save, segment: at_risk, template: plain, destination: team}]
"""
    )
    opens = load_playbooks(str(file), {}).opens()
    noon = 1_772_452_800_000  # 2026-03-02T12:00:00Z, a Monday
    assert opens(open_delivery(), noon) == noon
    evening_there = open_delivery(facts={"timezone": "Asia/Tokyo"})
    assert opens(evening_there, noon) == noon + 11 * 3_600_000  # 08:00 in Tokyo
    assert opens(open_delivery(facts={"timezone": "America/New_York"}), noon) == noon + 3_600_000
    assert opens(open_delivery(play="gone"), noon) == noon
