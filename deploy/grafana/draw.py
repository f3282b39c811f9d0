"""From a board to Grafana's model of it, with Grafana's own builders."""

import json
import warnings
from collections.abc import Callable
from itertools import count
from typing import Any, Final

with warnings.catch_warnings():
    # The builders would rather make the schema of Grafana 13; this one is read by 10 and later.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as common_model
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import heatmap as heatmap_model
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.board import Board, Kind, Limits, Panel, Query

DATASOURCE: Final = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "pegel"
FIRING: Final = 'ALERTS{alertname=~"Pegel.+", alertstate="firing", severity=~"page|ticket"}'
HEIGHTS: Final = {Kind.NUMBER: 5, Kind.LINES: 8, Kind.BARS: 12, Kind.HEAT: 8}
FILL_PERCENT: Final = 8


def as_json(board: Board) -> str:
    return json.dumps(_drawn(board).build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _drawn(board: Board) -> Any:
    drawn = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .timezone("utc")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .annotation(_alerts_annotation())
        .link(
            dashboard.DashboardLink("Pegel")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)  # noqa: FBT003 - the builders' way
            .include_vars(True)  # noqa: FBT003
            .keep_time(True)  # noqa: FBT003
        )
    )
    numbers = count(1)
    for row in board.rows:
        drawn.with_row(dashboard.Row(row.title).id(next(numbers)))
        for line in row.lines:
            height = max(HEIGHTS[panel.kind] for panel in line)
            for panel in line:
                drawn.with_panel(_panel(panel).height(height).id(next(numbers)))
    return drawn


def _alerts_annotation() -> Any:
    """When alerts fired, in every panel."""
    return (
        dashboard.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(True)  # noqa: FBT003
        .icon_color("red")
        .expr(FIRING)
    )


def _panel(panel: Panel) -> Any:
    drawn = _DRAWN[panel.kind](panel)
    drawn.title(panel.title).description(panel.description).unit(panel.unit.value).datasource(DATASOURCE)
    drawn.span(panel.width)
    drawn.thresholds(_thresholds(panel.limits))
    if panel.words:
        drawn.mappings([_words(panel)])
    for place, query in enumerate(panel.queries):
        drawn.with_target(_target(query, panel.kind).ref_id(chr(ord("A") + place)))
    return drawn


def _target(query: Query, kind: Kind) -> Any:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").datasource(DATASOURCE)
    if kind is Kind.HEAT:
        target.format(PromQueryFormat.HEATMAP)
    if kind in (Kind.NUMBER, Kind.BARS):
        target.instant()
    else:
        target.range()
    return target.exemplar(True) if query.exemplars else target  # noqa: FBT003


def _number(panel: Panel) -> Any:
    drawn = stat.Panel().graph_mode(common_model.BigValueGraphMode.NONE)
    drawn.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003
    named = common_model.BigValueTextMode.NAME if panel.named else common_model.BigValueTextMode.VALUE_AND_NAME
    drawn.text_mode(named if panel.queries[0].legend else common_model.BigValueTextMode.AUTO)
    if panel.limits is not None:
        drawn.color_mode(common_model.BigValueColorMode.BACKGROUND)
    return drawn


def _lines(panel: Panel) -> Any:
    drawn = timeseries.Panel().min(0).fill_opacity(FILL_PERCENT)
    drawn.legend(
        common.VizLegendOptions()
        .show_legend(len(panel.queries) > 1 or bool(panel.queries[0].legend))
        .display_mode(common_model.LegendDisplayMode.LIST)
        .placement(common_model.LegendPlacement.BOTTOM)
    )
    drawn.tooltip(
        common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI).sort(common_model.SortOrder.DESCENDING)
    )
    if panel.stacked:
        drawn.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    if panel.limits is not None:
        drawn.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED))
    return drawn


def _bars(_: Panel) -> Any:
    drawn = bargauge.Panel().orientation(common_model.VizOrientation.HORIZONTAL).min(0)
    drawn.display_mode(common_model.BarGaugeDisplayMode.BASIC)
    return drawn.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003


def _heat(_: Panel) -> Any:
    colors = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return heatmap.Panel().color(colors.exponent(0.5)).calculate(False)  # noqa: FBT003


_DRAWN: Final[dict[Kind, Callable[[Panel], Any]]] = {
    Kind.NUMBER: _number,
    Kind.LINES: _lines,
    Kind.BARS: _bars,
    Kind.HEAT: _heat,
}


def _thresholds(limits: Limits | None) -> Any:
    """Steps ascend, and each is the colour from there on; the first has no beginning."""
    ascending: list[tuple[float | None, str]]
    if limits is None:
        ascending = [(None, "blue")]  # left out, Grafana would take 80 of anything for bad
    elif limits.less_is_worse:
        ascending = [(None, "red"), (limits.bad, "green" if limits.warn is None else "orange")]
        ascending += [] if limits.warn is None else [(limits.warn, "green")]
    else:
        ascending = [(None, "green")]
        ascending += [] if limits.warn is None else [(limits.warn, "orange")]
        ascending += [(limits.bad, "red")]
    steps = [model.Threshold(value=value, color=color) for value, color in ascending]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _words(panel: Panel) -> Any:
    results = {f"{value:g}": model.ValueMappingResult(text=text) for value, text in panel.words}
    return model.ValueMap(options=results)
