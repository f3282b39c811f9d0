"""Laws of the dashboards: each panel asks something, of what there is, and draws the limits that alerts have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import HERE
from deploy.grafana.board import COLUMNS, Board, Kind, Panel, Query
from deploy.grafana.documents import boards, committed
from deploy.prometheus.rules import Dashboard
from streams.metrics import DEFINITIONS
from tests.unit.deploy.known_metrics import KNOWN, faults
from tests.unit.deploy.promql import read

BOARDS = boards()
PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
QUERIES = [(board, panel, query) for board, panel in PANELS for query in panel.queries]
TITLE_CHARS_PER_COLUMN = 7
"""On a screen of 1,440 points."""
FOREIGN = "ALERTS"
"""A series of Prometheus' own that no process shows."""


def _panel_id(one: tuple[Board, Panel]) -> str:
    return f"{one[0].uid} {one[1].title}"


def _query_id(one: tuple[Board, Panel, Query]) -> str:
    board, panel, query = one
    return f"{board.uid} {panel.title} {panel.queries.index(query)}"


def files() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in (HERE / "dashboards").glob("*.json")}


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES, ids=map(_query_id, QUERIES))
def test_a_query_asks_for_metrics_labels_and_words_that_there_are(board: Board, panel: Panel, query: Query) -> None:
    assert [fault for fault in faults(query.expr) if fault != f"no metric {FOREIGN}"] == []


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES, ids=map(_query_id, QUERIES))
def test_a_legend_says_what_the_query_tells_apart(board: Board, panel: Panel, query: Query) -> None:
    reading = read(query.expr)
    own = frozenset().union(*(KNOWN[one.metric].labels for one in reading.selectors if one.metric in KNOWN))
    told_apart = reading.grouped_by if " by (" in query.expr else own
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= told_apart


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=map(_panel_id, PANELS))
def test_a_panel_is_a_question_and_says_how_to_read_the_answer(board: Board, panel: Panel) -> None:
    assert panel.title.endswith("?")
    assert panel.description.endswith(".")
    assert len(panel.title) <= TITLE_CHARS_PER_COLUMN * panel.width, "Grafana cuts what does not fit"
    assert panel.unit
    assert panel.queries
    assert len({query.legend for query in panel.queries}) == len(panel.queries)


def test_panels_of_a_row_fill_lines_and_none_is_wider_than_the_screen() -> None:
    for board in BOARDS:
        for row in board.rows:
            assert {sum(panel.width for panel in line) for line in row.lines} == {COLUMNS}, (board.uid, row.title)


def test_every_dashboard_that_an_alert_leads_to_is_there() -> None:
    assert {board.uid for board in BOARDS} >= {one.value for one in Dashboard}
    assert len({board.uid for board in BOARDS}) == len(BOARDS)


def test_the_page_on_operations_lists_the_boards() -> None:
    page = (HERE.parents[1] / "docs" / "operations.md").read_text()
    listed = re.findall(r"^\| `(pegel-[a-z]+)` \|", page, re.MULTILINE)
    assert listed == [board.uid for board in BOARDS]


def test_every_metric_is_on_some_board() -> None:
    asked = {one.metric for *_, query in QUERIES for one in read(query.expr).selectors}
    unasked = {one.family for one in DEFINITIONS if not asked & {*one.samples}}
    assert unasked == set()


def test_what_is_committed_is_what_the_program_writes() -> None:
    wanted = dict(committed())
    for name, content in wanted.items():
        assert (HERE / name).read_text() == content, f"{name} is out of date: python -m deploy.grafana"
    assert {f"dashboards/{name}" for name in files()} == wanted.keys()


@pytest.mark.parametrize("name", sorted(files()))
def test_a_file_is_a_dashboard_as_grafana_has_it(name: str) -> None:
    board = files()[name]
    assert board["schemaVersion"] >= 36
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < COLUMNS
        taken |= cells
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert target["range"] is not target["instant"]


def test_every_board_has_every_panel_of_its_program_with_its_limits() -> None:
    for board in BOARDS:
        drawn = {one["title"]: one for one in files()[f"{board.uid}.json"]["panels"] if one["type"] != "row"}
        assert drawn.keys() == {panel.title for panel in board.panels}
        for panel in board.panels:
            steps = drawn[panel.title]["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert steps[0]["value"] is None
            limits = panel.limits
            wanted = [] if limits is None else [one for one in (limits.warn, limits.bad) if one is not None]
            assert sorted(step["value"] for step in steps[1:]) == sorted(wanted)
            values = [step["value"] for step in steps[1:]]
            assert values == sorted(values), "Grafana reads steps from below"
            if limits is not None:
                assert steps[0 if limits.less_is_worse else -1]["color"] == "red"


def test_one_figure_is_asked_for_now_and_a_line_for_all_the_time() -> None:
    for board in BOARDS:
        drawn = {one["title"]: one for one in files()[f"{board.uid}.json"]["panels"]}
        for panel in board.panels:
            instant = panel.kind in (Kind.NUMBER, Kind.BARS)
            assert all(target["instant"] is instant for target in drawn[panel.title]["targets"]), panel.title


def test_grafana_finds_prometheus_and_the_boards() -> None:
    provisioning = HERE / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    assert [one["type"] for one in sources["datasources"]] == ["prometheus"]
    providers = yaml.safe_load((provisioning / "dashboards" / "pegel.yml").read_text())["providers"]
    assert [Path(one["options"]["path"]).is_absolute() for one in providers] == [True]
