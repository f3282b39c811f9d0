"""Laws of the rules: each is tried both ways, asks for what there is and says what to do."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.__main__ import HERE
from deploy.prometheus.cases import CASES
from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter, gone, level
from deploy.prometheus.documents import committed, groups, rules_document
from deploy.prometheus.pace import DAY, HOUR, MINUTE, Pace
from deploy.prometheus.rules import Alert, Recording, Severity, Site
from deploy.prometheus.slos import BURNS, GIVEN_UP, OBJECTIVES, Objective
from schemas.action import Reason
from schemas.dead_letter import RejectReason
from streams.canary.watch import Outcome
from streams.settings import Settings
from tests.unit.deploy.known_metrics import EXPOSED, faults
from tests.unit.deploy.promql import Matcher, Selector, read

ROOT = Path(__file__).parents[3]
RULES = [rule for group in groups(Site()) for rule in group.rules]
ALERTS = [rule for rule in RULES if isinstance(rule, Alert)]
PAGES = {
    "PegelFreshnessBudgetBurn",
    "PegelIntakeBudgetBurn",
    "PegelDeliveryBudgetBurn",
    "PegelCanaryBroken",
    "PegelCanarySilent",
    "PegelStageDown",
    "PegelPartitionsUnowned",
    "PegelBrokersSilent",
    "PegelLagGrowing",
    "PegelDeadlinesOverdue",
    "PegelRecordsLost",
    "PegelUndelivered",
}


def _id(rule: Recording | Alert) -> str:
    return rule.record if isinstance(rule, Recording) else " ".join((rule.name, *rule.labels.values()))


# -- both ways ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", ALERTS, ids=_id)
def test_every_alert_has_a_case_in_which_it_fires(alert: Alert) -> None:
    assert [case for case in CASES if _fires(case.alert, case.fires, alert)]


@pytest.mark.parametrize("alert", [one for one in ALERTS if one.severity is not Severity.HEARTBEAT], ids=_id)
def test_every_alert_has_a_near_miss_in_which_it_is_silent(alert: Alert) -> None:
    """The same series, so that it is no miss by a mile."""
    fires = [set(case.series) for case in CASES if _fires(case.alert, case.fires, alert)]
    silent = [
        set(case.series) for case in CASES if case.alert == alert.name and not _fires(case.alert, case.fires, alert)
    ]

    assert any(one & other for one in fires for other in silent)


def _fires(name: str, firings: Sequence[Firing], alert: Alert) -> bool:
    return name == alert.name and any(firing.rule.items() <= alert.labels.items() for firing in firings)


def test_a_case_says_what_on_call_reads_with_no_number_left_open() -> None:
    texts = [firing.description for case in CASES for firing in case.fires]

    assert [text for text in texts if "{{" in text or "NaN" in text] == []


def test_samples_are_written_as_promtool_reads_them() -> None:
    assert counter((2, 10), (3, 0)) == "0 10+10x1 20+0x2"
    assert level((2, 1), (1, 0)) == "1+0x1 0+0x0"
    assert gone(3) == "_x3"


# -- what they ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_every_metric_label_and_word_of_a_rule_is_shown_by_somebody(rule: Recording | Alert) -> None:
    assert faults(rule.expr) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert} {case.law}")
def test_every_series_of_a_case_has_the_labels_that_a_scrape_gives_it(case: Case) -> None:
    for series in case.series:
        (selector,) = read(series.replace("'", '"')).selectors
        wanted = EXPOSED[selector.metric].labels - {"job"}

        assert faults(series.replace("'", '"')) == []
        assert wanted <= {matcher.label for matcher in selector.matchers} | {"job"}


@pytest.mark.parametrize("alert", ALERTS, ids=_id)
def test_no_rule_has_a_label_that_would_hide_one_of_its_series(alert: Alert) -> None:
    assert not (set(alert.labels) | {"severity"}) & read(alert.expr).grouped_by


def test_an_expression_is_read_whole() -> None:
    reading = read('sum by (stage) (rate(a_total{x="1", y=~"b|c"}[5m] offset 1h)) > 0.5 unless on (z) b:c == bool 1')

    assert reading.selectors == (
        Selector("a_total", (Matcher("x", "=", "1"), Matcher("y", "=~", "b|c"))),
        Selector("b:c"),
    )
    assert reading.grouped_by == {"stage", "z"}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("pegel_nothing > 0", "no metric pegel_nothing"),
        ('pegel_ready{partition="1"}', "pegel_ready has no label partition"),
        ('pegel_breaker{state="ajar"}', "pegel_breaker: state is never ajar"),
        ('pegel_freshness_seconds_bucket{le="7.0"}', "pegel_freshness_seconds_bucket: le is never 7.0"),
        ("sum by (account) (pegel_ready)", "nothing has the label account"),
    ],
)
def test_what_nobody_shows_is_found(expression: str, fault: str) -> None:
    assert faults(expression) == [fault]


# -- what they say -----------------------------------------------------------------------------------------------------


def test_only_what_hurts_users_pages() -> None:
    assert {alert.name for alert in ALERTS if alert.severity is Severity.PAGE} == PAGES


@pytest.mark.parametrize("alert", ALERTS, ids=_id)
def test_an_alert_says_what_how_much_and_where_to_read_on(alert: Alert) -> None:
    document = alert.document(Site(runbooks="https://wiki/x", dashboards="https://grafana/d"))

    assert document["labels"]["severity"] in {"page", "ticket", "heartbeat"}
    assert document["annotations"]["runbook_url"] == f"https://wiki/x/{alert.runbook}"
    assert document["annotations"]["dashboard_url"].startswith("https://grafana/d/pegel-")
    assert document["annotations"]["summary"]
    assert (
        re.search(r"\d|\$value|\$labels", alert.description)
        or alert.severity is Severity.HEARTBEAT
        or (alert.name == "PegelCanarySilent")
    )


def test_names_of_recorded_series_say_level_metric_and_window() -> None:
    records = [rule.record for rule in RULES if isinstance(rule, Recording)]

    assert len(records) == len(set(records))
    for record in records:
        assert re.fullmatch(r"(stage|destination):pegel_\w+:(increase|ratio_rate)\d+[mhd]", record)


def test_deliveries_that_are_given_up_are_those_that_become_dead_letters() -> None:
    assert set(GIVEN_UP.split("|")) == {word.value for word in Reason} & {word.value for word in RejectReason}


def test_the_canary_is_missed_only_after_several_crossings() -> None:
    canary = Settings().canary
    (missed,) = (alert for alert in ALERTS if alert.labels.get("outcome") == Outcome.MISSED)
    limit_s = float(missed.expr.split(">")[1])

    assert limit_s >= 5 * canary.interval_s + canary.timeout_s


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_burns_are_those_of_the_book() -> None:
    assert [(burn.times, burn.long_s, burn.short_s, burn.severity.value) for burn in BURNS] == [
        (14.4, HOUR, 5 * MINUTE, "page"),
        (6, 6 * HOUR, 30 * MINUTE, "page"),
        (1, 3 * DAY, 6 * HOUR, "ticket"),
    ]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.alert)
def test_every_objective_alerts_on_every_burn_above_a_minimum_volume(objective: Objective) -> None:
    alerts = [alert for alert in ALERTS if alert.name == objective.alert]

    assert len(alerts) == len(BURNS)
    for alert in alerts:
        assert re.search(rf"and \w+:pegel_\w+:increase{alert.labels['window']} >= \d+$", alert.expr)


# -- pace --------------------------------------------------------------------------------------------------------------


def test_a_pace_scales_windows_holds_ages_and_volumes_and_nothing_else() -> None:
    pace = Pace(1 / 60)

    assert (pace.window(HOUR), pace.hold(5 * MINUTE), pace.age_s(30 * MINUTE)) == ("1m", "5s", "30")
    assert (pace.volume(600), pace.volume(5)) == ("10", "1")
    assert Pace(1 / 60, window_min_s=10).window(5 * MINUTE) == "10s"
    assert Pace(1 / 60, window_min_s=10).hold(5 * MINUTE) == "5s"
    assert Pace(1 / 7).window(MINUTE) == "8571ms"
    with pytest.raises(ValueError, match="factor 0"):
        Pace(0)


def test_a_quicker_site_has_the_same_rules_in_shorter_windows() -> None:
    usual, quick = rules_document(Site()), rules_document(Site(Pace(1 / 60)))

    for group, other in zip(usual["groups"], quick["groups"], strict=True):
        for rule, faster in zip(group["rules"], other["rules"], strict=True):
            assert (rule.get("alert"), rule.get("record")) == (faster.get("alert"), faster.get("record"))
            assert rule.get("labels") == faster.get("labels")
            if "[" in rule["expr"] or "for" in rule:
                assert (rule["expr"], rule.get("for")) != (faster["expr"], faster.get("for"))


# -- files -------------------------------------------------------------------------------------------------------------


def test_the_committed_files_are_what_is_made() -> None:
    made = dict(committed())
    there = {
        str(path.relative_to(ROOT))
        for folder in ("rules", "cases")
        for path in (HERE / folder).glob("*.yml")
    } | {"docs/runbooks/README.md"}  # fmt: skip

    assert there == set(made), "remove what is made no more, and run `python -m deploy.prometheus`"
    for name, content in made.items():
        assert (ROOT / name).read_text() == content, f"{name}: run `python -m deploy.prometheus`"


def test_prometheus_reads_the_rules() -> None:
    config = yaml.safe_load((HERE / "prometheus.yml").read_text())

    assert config["rule_files"] == ["/etc/prometheus/rules/*.yml"]


def test_alertmanager_knows_only_alerts_that_there_are() -> None:
    text = (HERE / "alertmanager.yml").read_text()

    assert set(re.findall(r"Pegel\w+", text)) <= {alert.name for alert in ALERTS}


def test_no_ticket_silences_a_page() -> None:
    severities = {name: {one.severity for one in ALERTS if one.name == name} for name in {one.name for one in ALERTS}}
    rules = yaml.safe_load((HERE / "alertmanager.yml").read_text())["inhibit_rules"]

    for rule in rules:
        sources = set(re.findall(r"Pegel\w+", " ".join(rule["source_matchers"])))
        paged = 'severity="page"' in rule["source_matchers"]
        assert paged or all(severities[name] == {Severity.PAGE} for name in sources), rule
