"""Laws of the page of objectives: it says what the rules do, and asks for what there is."""

import re
from pathlib import Path

import pytest

from deploy.prometheus.canary import UNSEEN_S
from deploy.prometheus.delivery import UNDELIVERED_S, WAITING_MIN
from deploy.prometheus.pace import DAY, HOUR, MINUTE
from deploy.prometheus.slos import BUDGET_DAYS, BURNS, FRESH_S, OBJECTIVES
from streams.metrics import HISTORY_S
from tests.unit.deploy.known_metrics import faults
from tests.unit.docs.test_runbooks import queries

PAGE = Path(__file__).parents[3] / "docs" / "slo.md"
TEXT = PAGE.read_text()
PROSE = " ".join(TEXT.split())


def rows(heading: str) -> list[list[str]]:
    """Of the first table after a heading, without its head."""
    table = TEXT.split(heading, 1)[1].split("|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_the_page_names_every_objective_with_its_share() -> None:
    told = {re.findall(r"Pegel\w+", row[4])[0]: row[3] for row in rows("# Objectives")}

    assert told == {one.alert: f"{100 * one.share:g} %" for one in OBJECTIVES}
    assert f"over {BUDGET_DAYS} days" in TEXT
    assert f"within {FRESH_S:g} s" in TEXT


def test_the_page_names_every_burn() -> None:
    units = {"min": MINUTE, "h": HOUR, "d": DAY}
    told = []
    for pace, long, short, spent, who, _ in rows("## Budgets"):
        (times, bad), windows = re.findall(r"[\d.]+", pace), [text.split() for text in (long, short)]
        told.append((float(times), *(int(count) * units[unit] for count, unit in windows), who))
        assert float(bad) == pytest.approx(float(times) * (1 - OBJECTIVES[0].share) * 100)
        share = float(times) * int(windows[0][0]) * units[windows[0][1]] / (BUDGET_DAYS * DAY)
        assert float(spent.split()[0]) == pytest.approx(100 * share, abs=0.01)

    assert told == [(burn.times, burn.long_s, burn.short_s, burn.severity.value) for burn in BURNS]


def test_the_page_names_minimum_volumes_and_thresholds() -> None:
    fresh, accepted, delivered = (one.volume_min for one in OBJECTIVES)

    assert f"below {fresh} transitions, {accepted} records or {delivered} messages" in PROSE
    assert (WAITING_MIN, UNDELIVERED_S, UNSEEN_S) == (5, 30 * MINUTE, 10 * MINUTE)
    assert "when five or more wait for longer than half an hour" in PROSE
    assert "was not seen for ten minutes" in PROSE
    assert "(older than a day) is left out" in PROSE
    assert HISTORY_S == DAY


def test_every_query_of_the_page_asks_for_what_there_is() -> None:
    found = queries(TEXT)

    assert len(found) == 2
    assert [fault for query in found for fault in faults(query)] == []


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_every_place_that_the_page_leads_to_exists(target: str) -> None:
    assert (PAGE.parent / target).exists()
