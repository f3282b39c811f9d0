"""The page of results: one file that needs nothing, tells the same as the text, and trusts no name."""

import re
from html.parser import HTMLParser
from typing import Final

from schemas.transition import Direction
from streams.report.goals import Goal
from streams.report.judgement import Question
from streams.report.page import page
from streams.report.results import Plan, Report, Span, results
from tests.unit.report.logs import day, experiment, exposed

GOAL: Final = Goal(((Direction.ENTERED, "customer"),), 14)
VOID: Final = {"meta", "line", "circle"}


def report(*names: str, reached: int = 120) -> Report:
    lines = [
        line for name in names for line in experiment({"treatment": (600, reached), "control": (600, 60)}, play=name)
    ]
    return results(
        lambda: lines, lambda: lines, [Plan(name, GOAL, 0.5) for name in names], Span(until_ms=day(60)), Question()
    )


class Elements(HTMLParser):
    """Every element and attribute; fails where one is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    shown = page(report("save", "call-now"))
    elements = Elements(shown).found
    assert not {tag for tag, _ in elements} & {"script", "link", "img", "iframe", "object", "image", "use"}
    assert not [attrs for _, attrs in elements if {"href", "src", "onload", "onclick", "style"} & attrs.keys()]
    assert "url(" not in shown
    assert "default-src 'none'" in shown


def test_the_page_is_readable_without_seeing_it() -> None:
    elements = Elements(page(report("save"))).found
    assert ("html", {"lang": "en"}) in elements
    assert [attrs["aria-labelledby"] for tag, attrs in elements if tag == "svg"] == ["plot-title"]
    assert {attrs.get("scope") for tag, attrs in elements if tag == "th"} == {"col", "row"}
    assert [tag for tag, _ in elements if tag in {"main", "caption", "h1"}] == ["main", "h1", "caption"]


def test_names_are_text_on_the_page() -> None:
    lines = [*experiment({"treatment": (60, 12), "control": (60, 6)}), exposed("a", "control", day(0), "<b>&gone")]
    plan = Plan("save", Goal(((Direction.ENTERED, "customer"),), 14), 0.5)
    hostile = results(lambda: lines, lambda: lines, [plan], Span(until_ms=day(60)), Question())
    shown = page(hostile)
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;gone" in shown


def test_an_interval_is_drawn_where_its_numbers_are() -> None:
    """The line at 0 lies left of a gain and right of a loss; every mark lies within the picture."""
    for reached, sign in ((120, 1), (20, -1)):
        shown = page(report("save", reached=reached))
        nought = float(re.findall(r'class="nought" x1="([\d.]+)"', shown)[0])
        left, right = map(float, re.findall(r'<title>save.*?<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', shown)[0])
        dot = float(re.findall(r'<circle cx="([\d.]+)"', shown)[0])
        assert 0 < left < dot < right < 640
        assert (dot - nought) * sign > 0
        assert (left - nought) * (right - nought) > 0


def test_a_play_without_a_difference_is_in_the_table_and_not_in_the_picture() -> None:
    lines = experiment({"treatment": (60, 12)})
    found = results(lambda: lines, lambda: lines, [Plan("save", GOAL, 0.0)], Span(until_ms=day(60)), Question())
    shown = page(found)
    assert "<svg" not in shown
    assert '<th scope="row">save</th>' in shown
    assert '<td class="no_control">no control</td>' in shown


def test_a_report_of_nothing_is_a_page() -> None:
    assert "No play of the playbook has a goal." in page(report())
