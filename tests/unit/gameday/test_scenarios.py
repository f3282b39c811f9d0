"""The faults are about alerts and runbooks that exist, and who is told of one comes to the page that is followed."""

import re
from fractions import Fraction

import pytest

from deploy.prometheus.documents import groups
from deploy.prometheus.rules import Alert, Site
from tests.gameday.ground import rhythm
from tests.gameday.load import bad_record
from tests.gameday.scenarios import RUNBOOKS, SCENARIOS, WAITS_S, Scenario, doctor_note, dump_of

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


def test_what_doctor_finds_is_told_and_nothing_else() -> None:
    said = "ok    brokers  1 broker\nwarn  workers  nobody at work: engagement\n         -> pegel worker engagement\n"

    assert doctor_note(said) == "warn: workers: nobody at work: engagement"
    assert doctor_note("ok    brokers  1 broker\n") == "all is well"
    assert doctor_note("") == "", "it said nothing: its exit status is told"


def test_settings_that_are_times_follow_the_pace_down_to_what_a_busy_machine_needs() -> None:
    assert rhythm(Fraction(1, 10)) == {
        "PEGEL_RUNTIME__SILENCE_TIMEOUT_S": "30",
        "PEGEL_RUNTIME__START_TIMEOUT_S": "10",
        "PEGEL_CANARY__INTERVAL_S": "6",
        "PEGEL_CANARY__TIMEOUT_S": "10",
    }


def test_no_two_bad_records_are_alike() -> None:
    assert len({bad_record(kind) for kind in (0, 1, 2) for _ in range(20)}) == 60
