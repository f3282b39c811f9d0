"""The table of all metrics, its page, and the registries that are made from it."""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from schemas.playbook import DESTINATIONS_MAX
from streams.metric_page import SECTIONS, page
from streams.metric_registry import KEYS_KNOWN_MAX, BatchHistogram, Metrics, exposition
from streams.metrics import (
    CANARY,
    DEFINITIONS,
    FRESHNESS_BUCKETS,
    LINK,
    OTHER,
    STAGES,
    Definition,
    FedBy,
    Kind,
    Label,
    Whence,
    series_max,
    shown_by,
)
from tests.toolchains import program

ROOT = Path(__file__).parents[3]
SERVICES = (*STAGES, *LINK, *CANARY)
SERIES_MAX = 3_500
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def filled(service: str) -> Metrics:
    """A process that has met more words than any label may have."""
    words = {
        "destination": tuple(f"d{number}" for number in range(DESTINATIONS_MAX)),
        "topic": tuple(f"t{number}" for number in range(8)),
    }
    metrics = Metrics(service, words)
    for one in shown_by(service):
        found = [label for label in one.labels if label.whence is Whence.FOUND]
        if not found:
            continue
        closed = [f":{word}" for label in one.labels if label.whence is Whence.CLOSED for word in label.words]
        for number in range(2 * found[0].words_max):
            for word in closed if one.kind is Kind.COUNTER else ():
                metrics.count(f"{one.name}:w{number}{word}", 1)
        if one.kind is Kind.GAUGE:
            metrics.levels(one.name, {(f"w{number}",) * len(found): 1 for number in range(2 * found[0].words_max)})
    return metrics


def series(metrics: Metrics, prefix: str = "pegel_") -> list[str]:
    lines = exposition(metrics.registry, "")[0].decode().splitlines()
    return [line for line in lines if line.startswith(prefix)]


def test_the_page_is_made_from_the_table() -> None:
    made = "".join(page())
    assert (ROOT / "docs" / "metrics.md").read_text() == made, "python -m streams.metric_page > docs/metrics.md"


def test_every_metric_is_on_the_page_once() -> None:
    assert [one for _, section in SECTIONS for one in section] == list(DEFINITIONS)
    assert len({one.family for one in DEFINITIONS}) == len(DEFINITIONS)


@pytest.mark.parametrize("one", DEFINITIONS, ids=lambda one: one.name)
def test_a_definition_says_what_it_is_and_what_it_answers(one: Definition) -> None:
    assert one.text.endswith("."), "a sentence"
    assert "?" in one.asks, "a question"
    assert "|" not in one.text + one.asks, "it stands in a table"
    assert bool(one.buckets) == (one.kind is Kind.HISTOGRAM)
    assert list(one.buckets) == sorted(set(one.buckets))
    assert not one.name.endswith("_total"), "that is added"
    assert all(label.bound for label in one.labels), "every label has a bound"
    if one.unit:
        assert re.search(rf"(^|_){one.unit}$", one.name), "the unit stands last"
    else:
        assert not re.search(r"_(seconds|bytes|ratio)$", one.name)
    if one.kind is Kind.GAUGE and any(label.whence is Whence.FOUND for label in one.labels):
        assert all(label.whence is Whence.FOUND for label in one.labels), "levels vanish word by word"


def test_no_label_can_hold_an_account_a_user_or_an_event() -> None:
    names = {label.name for one in DEFINITIONS for label in one.labels if label.whence is not Whence.CLOSED}
    assert names == {
        "partition", "segment", "version", "name", "engine", "python", "destination", "topic",
    }  # fmt: skip


def test_every_metric_is_fed_by_some_code() -> None:
    table = {"metrics.py", "metric_page.py", "metric_registry.py"}
    code = "\n".join(path.read_text() for path in (ROOT / "streams").rglob("*.py") if path.name not in table)
    unfed = [one.name for one in DEFINITIONS if not re.search(rf'["\']{one.name}[:"\']', code)]
    assert set(unfed) <= {"build_info"}, "which the registry itself shows"


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_shows_more_series_than_the_table_says(service: str) -> None:
    shown = series(filled(service))
    assert len(shown) == series_max(service)
    assert len(shown) <= SERIES_MAX


@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_finds_nothing_to_complain_of(service: str) -> None:
    promtool = program("promtool", "prometheus")
    text, _ = exposition(filled(service).registry, "")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_when_a_series_began_is_not_shown_beside_it(service: str) -> None:
    registry = filled(service).registry
    for accepted in ("", OPEN_METRICS):
        assert b"_created" not in exposition(registry, accepted)[0]


@pytest.mark.parametrize("service", SERVICES)
def test_both_formats_say_the_same(service: str) -> None:
    registry = filled(service).registry
    plain = {family.name: family for family in plain_families(exposition(registry, "")[0].decode())}
    text, content_type = exposition(registry, OPEN_METRICS)
    assert content_type.startswith("application/openmetrics-text")
    opened = {family.name: family for family in text_string_to_metric_families(text.decode())}  # type: ignore[no-untyped-call]
    assert plain.keys() == opened.keys()
    for name, family in plain.items():
        if name.startswith("pegel_"):
            assert {(one.name, *one.labels.items(), one.value) for one in family.samples} == {
                (one.name, *one.labels.items(), one.value) for one in opened[name].samples
            }


@pytest.mark.parametrize("service", SERVICES)
def test_every_process_says_what_it_is(service: str) -> None:
    (line,) = series(Metrics(service), "pegel_build_info")
    assert re.fullmatch(
        r'pegel_build_info\{engine="(compiled|interpreted)",python="3\.[\d.]+",version="[\d.]+"\} 1\.0', line
    )


def test_words_known_beforehand_are_there_with_0() -> None:
    shown = series(Metrics("courier", {"destination": ("team",)}))
    assert 'pegel_deliveries_total{destination="team",reason="delivered",stage="courier"} 0.0' in shown
    assert 'pegel_breaker{destination="team",stage="courier",state="open"} 0.0' in shown


def test_a_level_vanishes_with_its_word() -> None:
    metrics = Metrics("engagement")
    metrics.levels("lag_records", {("0",): 3, ("1",): 4})
    metrics.levels("lag_records", {("1",): 5})
    assert series(metrics, "pegel_lag_records") == ['pegel_lag_records{partition="1",stage="engagement"} 5.0']
    metrics.levels("lag_records", {})
    assert series(metrics, "pegel_lag_records") == []


def test_what_is_beyond_a_bound_is_added_up_or_the_greatest_of_it() -> None:
    metrics = Metrics("engagement")
    bound = next(label.words_max for one in DEFINITIONS if one.name == "lag_seconds" for label in one.labels)
    metrics.levels("lag_records", {(str(number),): number for number in range(bound + 2)})
    metrics.levels("lag_seconds", {(str(number),): number for number in range(bound + 2)})
    assert f'pegel_lag_records{{partition="{OTHER}",stage="engagement"}} {2 * bound + 1}.0' in series(metrics)
    assert f'pegel_lag_seconds{{partition="{OTHER}",stage="engagement"}} {bound + 1}.0' in series(metrics)


def test_what_a_word_beyond_the_bound_counts_is_not_lost() -> None:
    metrics = filled("engagement")
    for _ in range(2):
        metrics.count("transitions:one_more:entered", 1)
    (line,) = series(metrics, f'pegel_transitions_total{{direction="entered",segment="{OTHER}"')
    assert line.endswith(" 202.0"), "200 beyond the bound, and two more"


def test_what_keys_mean_is_remembered_within_a_bound() -> None:
    metrics = Metrics("engagement")
    for number in range(KEYS_KNOWN_MAX + 1):
        metrics.count(f"transitions:s{number}:entered", 0)
    assert len(metrics._known_keys) == 1
    with pytest.raises(KeyError):
        metrics.count("members:trial", 1)
    assert metrics.set_stage_levels([{"transitions:s0:entered": 1}]) == ["transitions:s0:entered"]


def test_levels_of_partitions_are_added_or_the_greatest_counts() -> None:
    metrics = Metrics("engagement")
    unknown = metrics.set_stage_levels(
        [
            {"members:trial": 2, "overdue_seconds": 1.5, "catalog_info:abc:B2B: ours": 1},
            {"members:trial": 3, "overdue_seconds": 0.5, "catalog_info:abc:B2B: ours": 1, "lag_records": 7, "trial": 1},
        ]
    )
    assert unknown == ["lag_records", "trial"]
    shown = series(metrics)
    assert 'pegel_members{segment="trial",stage="engagement"} 5.0' in shown
    assert 'pegel_overdue_seconds{stage="engagement"} 1.5' in shown
    assert 'pegel_catalog_info{name="B2B: ours",stage="engagement",version="abc"} 1.0' in shown


def test_a_batch_is_observed_as_if_one_by_one() -> None:
    definition = next(one for one in DEFINITIONS if one.name == "freshness_seconds")
    whole, single = (BatchHistogram(definition, {"stage": "engagement"}) for _ in range(2))
    values = [(bound + step, "t") for bound in FRESHNESS_BUCKETS for step in (-0.001, 0.0, 0.001)]
    whole.observe(values, 1.0)
    for value in values:
        single.observe([value], 1.0)
    (family,), (other,) = whole.collect(), single.collect()
    assert [one.value for one in family.samples] == pytest.approx([one.value for one in other.samples])
    first = {one.labels["le"]: one.value for one in family.samples if one.name.endswith("_bucket")}
    assert (first["0.025"], first["5.0"], first["+Inf"]) == (2, 32, len(values)), "a bound belongs to its bucket"


def test_an_exemplar_is_shown_where_openmetrics_is_asked_for() -> None:
    metrics = Metrics("engagement")
    metrics.batch_histogram("freshness_seconds").observe([(0.06, "a"), (0.07, "b"), (9.0, None), (7.0, "c")], 17.5)
    assert "#" not in "".join(series(metrics, "pegel_freshness_seconds"))
    text = exposition(metrics.registry, OPEN_METRICS)[0].decode()
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    (family,) = [one for one in families if one.name == "pegel_freshness_seconds"]
    shown = {one.labels["le"]: one.exemplar for one in family.samples if one.exemplar is not None}
    assert {le: (one.labels, one.value, float(one.timestamp or 0)) for le, one in shown.items()} == {
        "0.075": ({"transition_id": "b"}, 0.07, 17.5),
        "10.0": ({"transition_id": "c"}, 7.0, 17.5),
    }


def test_a_label_beyond_its_words_has_a_bound_of_one_more() -> None:
    assert Label("x", whence=Whence.FOUND, words_max=3).bound == 4
    assert Label("x", ("a", "b")).bound == 2


def test_what_stages_feed_is_a_count_or_a_level() -> None:
    assert {one.kind for one in DEFINITIONS if one.fed_by is FedBy.STAGE} == {Kind.COUNTER, Kind.GAUGE}
