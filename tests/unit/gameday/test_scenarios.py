"""The faults are about alerts and runbooks that exist, and who is told of one comes to the page that is followed."""

import re

import pytest

from deploy.prometheus.documents import groups
from deploy.prometheus.rules import Alert, Site
from tests.gameday.load import bad_record
from tests.gameday.scenarios import RUNBOOKS, SCENARIOS, WAITS_S, Scenario, dump_of

ALERTS = [rule for group in groups(Site()) for rule in group.rules if isinstance(rule, Alert)]
PAGES = {alert.name for alert in ALERTS if alert.severity == "page"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_a_scenario_expects_alerts_that_exist_and_follows_a_page_of_one_of_them(scenario: Scenario) -> None:
    known = {(alert.name, alert.severity.value): alert.runbook for alert in ALERTS}

    assert scenario.expected
    assert scenario.expected.items() <= known.keys()
    assert scenario.follows <= PAGES
    leads_to = {known[item] for item in scenario.expected.items()}
    pages = [(RUNBOOKS / f"{name}.md").read_text() for name in leads_to]
    linked = {name for page in pages for name in re.findall(r"\]\(([a-z-]+)\.md", page)}
    assert scenario.runbook in leads_to | linked


def test_scenarios_have_names_of_their_own() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)


def test_an_age_is_told_for_alerts_that_exist_alone() -> None:
    assert WAITS_S.keys() <= {alert.name for alert in ALERTS}


@pytest.mark.parametrize("page", ["clock-skew", "evictions"])
def test_the_pipeline_of_a_runbook_is_found_whole(page: str) -> None:
    command = dump_of(page)

    assert command.startswith("pegel dump ")
    assert command.count("'") == 2


def test_no_two_bad_records_are_alike() -> None:
    assert len({bad_record(kind) for kind in (0, 1, 2) for _ in range(20)}) == 60
