"""Previews: every message of a play as it would look, on samples or on what happened."""

import gzip
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from streams.cli import ExitStatus, run
from streams.notify.playbooks import load_playbooks
from streams.preview.messages import Preview, previews
from streams.preview.page import page
from streams.preview.pool import built_in, pool_of

REAL = Path(__file__).parents[2] / "data" / "oss-transitions.ndjson.gz"
PLAYBOOK = """\
format: 1
name: ours
destinations:
  - {id: team, type: slack, url: "${URL}"}
  - {id: log, type: console}
templates:
  words:
    title: "{{ name }} & co"
    body: "{{ account | bold }} is in {{ segment | label }}"
    links: [{label: Open, url: "https://app.example/{{ account }}"}]
  again: {title: "step {{ step }}", body: "still {{ segment }}"}
  all: {title: "{{ total }}", body: "{% for item in items %}{{ item.account }} {% endfor %}{{ more }}"}
  broken: {title: "{{ values['never there'] + 1 }}"}
plays:
  - {id: save, segment: at_risk, template: words, destination: team, steps: [{after_days: 3, template: again}]}
  - {id: ours, segment: of_our_own, template: words, destination: log}
  - {id: weekly, on: {digest: "0 8 * * mon"}, segment: cooling_down, template: all, destination: team}
  - {id: list, on: {digest: "0 8 * * mon"}, list: {segment: cooling_down}, template: all, destination: log}
"""


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    file = tmp_path / "ours.yaml"
    file.write_text(PLAYBOOK)
    return str(file)


@pytest.fixture
def transitions(tmp_path: Path) -> str:
    file = tmp_path / "transitions.ndjson"
    file.write_bytes(gzip.decompress(REAL.read_bytes()))
    return str(file)


def shown(playbook: str, play: str) -> list[Preview]:
    found = load_playbooks(playbook, None)
    (wanted,) = (one for one in found.plays if one.id == play)
    return list(previews(found, wanted, built_in()))


def test_every_template_of_a_play_is_shown_in_the_order_of_its_steps(playbook: str) -> None:
    first, second = shown(playbook, "save")
    assert (first.template, first.step, second.template, second.step) == ("words", 0, "again", 1)
    assert first.rendered is not None
    assert second.rendered is not None
    assert second.rendered.title == "step 1"


def test_digests_and_lists_show_several_accounts_and_that_there_are_more(playbook: str) -> None:
    values = [line for line in gzip.decompress(REAL.read_bytes()).splitlines() if b'"cooling_down"' in line]
    for play in ("weekly", "list"):
        found = load_playbooks(playbook, None)
        (wanted,) = (one for one in found.plays if one.id == play)
        (one,) = previews(found, wanted, pool_of(values, None))
        assert one.rendered is not None
        assert one.rendered.title == "4"
        assert len(one.rendered.body.split()) == 4
        assert one.rendered.body.endswith("1")


def test_a_segment_that_no_sample_knows_is_shown_with_nothing_but_the_transition(playbook: str) -> None:
    (one,) = shown(playbook, "ours")
    assert not one.found
    assert one.rendered is not None
    assert one.rendered.body == "acme.example is in Of our own"


def test_the_newest_transition_comes_first_and_old_ones_are_let_go() -> None:
    lines = gzip.decompress(REAL.read_bytes()).splitlines()
    pool = pool_of(lines, None)
    times = [news.effective_at_ms for news in pool.news]
    assert times == sorted(times)
    bounded = pool_of(lines, None, kept_max=20)
    assert bounded.news == pool.news[-20:]


# --- as a user calls it ---


def test_the_command_writes_what_a_reader_would_see(playbook: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["playbook", "preview", playbook, "save"]) == ExitStatus.OK
    assert capsys.readouterr().out == (
        "--- save: words to team (slack)\nHooli & co\n*hooli* is in At risk\n[Open] https://app.example/hooli\n\n"
        "--- save, step 1: again to team (slack)\nstep 1\nstill at_risk\n\n"
    )


def test_another_dialect_is_shown_where_it_is_wanted(playbook: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["playbook", "preview", playbook, "save", "--dialect", "plain"]) == ExitStatus.OK
    assert "\nhooli is in At risk\n" in capsys.readouterr().out


def test_what_happened_can_be_shown_also_of_one_account(
    playbook: str, transitions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in Path(transitions).read_bytes().splitlines()]
    moved: list[dict[str, Any]] = [row for row in rows if row["segment"] == "at_risk" and row["direction"] == "moved"]
    account = moved[0]["account_id"]
    arguments = ["playbook", "preview", playbook, "save", "--from", transitions]
    assert run([*arguments, "--account", account]) == ExitStatus.OK
    assert f"*{account}* is in At risk" in capsys.readouterr().out
    assert run([*arguments, "--account", "nobody"]) == ExitStatus.USAGE
    assert "has no transition of account nobody" in capsys.readouterr().err


def test_a_template_that_fails_is_named_and_ends_the_command_with_1(
    playbook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(playbook).write_text(
        PLAYBOOK.replace("segment: at_risk, template: words", "segment: at_risk, template: broken")
    )
    html = tmp_path / "page.html"
    assert run(["playbook", "preview", playbook, "save", "--html", str(html)]) == ExitStatus.FAILURE
    assert "fails: title: 'dict object' has no attribute 'never there'" in capsys.readouterr().out
    assert 'class="problem"' in html.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], "there is no play 'nobody'; there are save, ours"),
        (["--dialect", "klingon"], "is not one of plain, slack"),
        (["--account", "acme"], "needs the transitions to look it up in"),
        (["--from", "nowhere.ndjson"], "nowhere.ndjson"),
        (["--html", "/nowhere/x.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_said(
    arguments: list[str], told: str, playbook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["playbook", "preview", playbook, *arguments]) == ExitStatus.USAGE
    assert told in capsys.readouterr().err


# --- the page ---


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_shows_slack_as_slack_and_asks_for_nothing(playbook: str) -> None:
    html = page([*shown(playbook, "save"), *shown(playbook, "ours")], "<ours>")
    tags = Tags(html).found
    assert not {tag for tag, _ in tags} & {"script", "img", "link", "iframe", "ours"}
    assert "<strong>hooli</strong> is in At risk" in html
    assert [attrs["class"] for tag, attrs in tags if tag == "article"] == ["slack", "slack", "mail"]
    assert [attrs["href"] for tag, attrs in tags if tag == "a"] == [
        "https://app.example/hooli", "https://app.example/acme.example",
    ]  # fmt: skip
