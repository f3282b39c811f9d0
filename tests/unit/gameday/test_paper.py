"""Laws of the page: what went wrong cannot be overlooked, and what is committed is of these results."""

import re
from dataclasses import replace

import pytest

from tests.gameday.alerts import Alarm, Fired, Verdict
from tests.gameday.ground import Step
from tests.gameday.paper import BEGIN, END, PAGE, held_s, tables, written_into
from tests.gameday.results import RESULTS, GameDay, Outcome, Scraped, read, stored
from tests.gameday.scenarios import SCENARIOS
from tests.gameday.truth import Truth

DOWN = Alarm("PegelStageDown", "page", "engagement")
RIGHT = Truth(1_000, 20, 5, 0, ())
GONE = Outcome(
    "stage-down", "both are killed", "stage-down", {"PegelStageDown": "page"},
    Verdict((Fired(DOWN, 12.2, 9.0),), (), ()), (Step("`a | b`", "exit status 0"), Step("start them", "ready")), RIGHT,
)  # fmt: skip
DAY = GameDay(
    "1/30", 900, {"machine": "2 cores"}, (GONE,), (Scraped("intake-1", 90, 91, 681, 2.5, 3.1, 4.5, 12.3),), RIGHT,
)  # fmt: skip


def day_of(outcome: Outcome) -> str:
    return tables(replace(DAY, outcomes=(outcome,)))


def test_the_table_tells_when_an_alert_fired_what_that_means_and_when_it_was_gone() -> None:
    (row,) = [line for line in tables(DAY).splitlines() if line.startswith("| **stage-down**")]

    assert "| PegelStageDown (page) | 12 s | 5 min to 6 min | 9 s | none | none | nothing |" in row
    assert "Every expected alert fired" in tables(DAY)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (replace(GONE, verdict=Verdict((), ("PegelStageDown",), ())), "**did not fire**"),
        (
            replace(
                GONE,
                verdict=Verdict(
                    (*GONE.verdict.fired, Fired(Alarm("PegelUndelivered", "page"), 3, 1)), (), ("PegelUndelivered",)
                ),
            ),
            "**PegelUndelivered**",
        ),
        (replace(GONE, truth=replace(RIGHT, problems=("7 messages did not arrive",))), "7 messages did not arrive"),
    ],
)
def test_what_went_wrong_is_told_in_its_row_and_above_the_table(outcome: Outcome, told: str) -> None:
    page = day_of(outcome)

    assert told in page
    assert "**Not as it should be: stage-down.**" in page
    assert "Every expected alert fired" not in page


def test_what_is_wrong_at_the_very_end_is_told_too() -> None:
    page = tables(replace(DAY, end=replace(RIGHT, problems=("2 accounts differ",))))

    assert "**Not as it should be: end.**" in page
    assert "2 accounts differ" in page


def test_an_alert_that_does_not_end_is_told() -> None:
    assert "| stayed |" in day_of(replace(GONE, verdict=Verdict((Fired(DOWN, 12, None),), (), ())))


def test_a_step_with_a_pipe_stays_in_its_cell() -> None:
    assert "`a \\| b`" in tables(DAY)


def test_every_row_has_the_cells_of_its_head() -> None:
    width = 0
    for line in tables(DAY).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = cells if line.startswith("|---") else width
        assert not line.startswith("| **") or cells == width


def test_what_an_alert_waits_for_is_its_hold_and_its_age() -> None:
    assert held_s(Fired(DOWN, 0, 0)) == 5 * 60
    assert held_s(Fired(Alarm("PegelUndelivered", "page"), 0, 0)) == 35 * 60


def test_writing_the_page_again_leaves_what_stands_around_the_tables() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"

    once = written_into(page, DAY)

    assert once.startswith(f"before\n{BEGIN}")
    assert once.endswith(f"{END}after\n")
    assert "old" not in once
    assert written_into(once, DAY) == once


def test_results_are_kept_and_read_back() -> None:
    assert read(stored(DAY)) == DAY


def test_the_committed_page_is_that_of_the_committed_results_and_leaves_no_scenario_out() -> None:
    day = read(RESULTS.read_bytes())

    assert written_into(PAGE.read_text(), day) == PAGE.read_text()
    assert {one.name for one in day.outcomes} == {one.name for one in SCENARIOS}
