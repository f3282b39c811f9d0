"""The board that is looked at first: is it healthy, is it right, and how much of the budgets is left."""

from collections.abc import Iterator
from typing import Final

from deploy.grafana.board import Board, Kind, Limits, Panel, Query, Row, Unit, quantile, rate
from deploy.prometheus.canary import UNSEEN_S
from deploy.prometheus.pipeline import LAG_S
from deploy.prometheus.rules import Dashboard
from deploy.prometheus.slos import BUDGET_DAYS, BURNS, FRESH_S, FRESH_STAGE, OBJECTIVES, WINDOWS_S, Objective

NAMES: Final = {
    "PegelFreshnessBudgetBurn": "Transitions in time",
    "PegelIntakeBudgetBurn": "Records accepted",
    "PegelDeliveryBudgetBurn": "Messages delivered",
}
AT_WORK: Final = Limits(1, less_is_worse=True)
FRESH: Final = f'stage="{FRESH_STAGE}"'


def board() -> Board:
    return Board(
        Dashboard.OVERVIEW.value,
        "Pegel: overview",
        "Is it healthy, is it right, and how much of the error budgets is left? The other boards say why.",
        (
            Row("Is it healthy?", tuple(_health())),
            Row("Is it right?", tuple(_truth())),
            Row("Are the objectives kept?", tuple(_objectives())),
            Row("What is the load?", tuple(_load())),
        ),
    )


def _health() -> Iterator[Panel]:
    yield Panel(
        "How long ago did the canary cross?",
        "Age of the last transition of the canary in the partition where that is longest ago. It sees what no worker "
        "says of itself: that events go in and transitions come out. No value: no canary runs.",
        Unit.SECONDS,
        (Query("time() - min(pegel_canary_last_seen_timestamp_seconds)"),),
        Kind.NUMBER,
        Limits(UNSEEN_S, UNSEEN_S / 3),
        5,
    )
    yield Panel(
        "Is the canary at work?",
        "1 while its events are taken and the catalog has a segment that it can cross; else its log says why.",
        Unit.TIMES,
        (Query("min(pegel_canary_up)"),),
        Kind.NUMBER,
        AT_WORK,
        4,
        words=((0, "no"), (1, "yes")),
    )
    yield Panel(
        "How many alerts fire?",
        "Pages and tickets of deploy/prometheus; each has a runbook.",
        Unit.COUNT,
        (Query('count(ALERTS{alertname=~"Pegel.+", alertstate="firing", severity=~"page|ticket"}) or vector(0)'),),
        Kind.NUMBER,
        Limits(1),
        5,
    )
    yield Panel(
        "Is every stage at work?",
        "1 when every assigned partition of every worker is loaded and applied; the least of each stage.",
        Unit.TIMES,
        (Query("min by (stage) (pegel_ready)", "{{stage}}"),),
        Kind.NUMBER,
        AT_WORK,
        5,
        words=((0, "not ready"), (1, "ready")),
    )
    yield Panel(
        "How far behind is each stage?",
        "Age of the oldest record that was not applied, in the partition where it is oldest.",
        Unit.SECONDS,
        (Query("max by (stage) (pegel_lag_seconds)", "{{stage}}"),),
        Kind.NUMBER,
        Limits(LAG_S, LAG_S / 10),
        5,
    )
    yield Panel(
        "How old is what readers see?",
        f"From a product event's arrival to its transition being visible; the objective is {FRESH_S:g} s. Points are "
        "exemplars: transition ids.",
        Unit.SECONDS,
        tuple(
            Query(quantile(share, "pegel_freshness_seconds", where=FRESH), f"{share:.0%}", exemplars=share == 0.99)
            for share in (0.5, 0.95, 0.99)
        ),
        limits=Limits(FRESH_S),
        width=12,
    )
    yield Panel(
        "How long is the whole way for the canary?",
        "From publishing an event to reading its transition, through all stages and brokers.",
        Unit.SECONDS,
        tuple(Query(quantile(share, "pegel_canary_latency_seconds"), f"{share:.0%}") for share in (0.5, 0.99)),
        limits=Limits(FRESH_S),
        width=12,
    )


def _truth() -> Iterator[Panel]:
    yield Panel(
        "What became of the canary's crossings?",
        "Missed: no transition in time. Wrong: another direction, a number left out, or written twice.",
        Unit.COUNT,
        (Query("sum by (outcome) (increase(pegel_canary_crossings_total[5m]))", "{{outcome}} in 5 min"),),
    )
    yield Panel(
        "What is refused, and why?",
        "Records that went to a dead-letter topic; `pegel dlq list` shows them.",
        Unit.PER_SECOND,
        (Query(rate("pegel_rejected_total", "stage, reason") + " > 0", "{{stage}} {{reason}}", rare=True),),
    )
    yield Panel(
        "What does not count?",
        "Activity too late for its windows, events sent twice, clocks that are ahead, records that retention deleted "
        "unread (the last must be 0).",
        Unit.PER_SECOND,
        (
            Query(rate("pegel_late_total"), "late"),
            Query(rate("pegel_duplicates_total"), "sent twice"),
            Query(rate("pegel_clock_ahead_total"), "clock ahead"),
            Query(rate("pegel_records_lost_total"), "lost"),
        ),
    )
    yield Panel(
        "Which rules decide?",
        "The catalog in force: one, but for the moment in which another takes over.",
        Unit.TIMES,
        (Query("max by (name, version) (pegel_catalog_info)", "{{name}} {{version}}"),),
        Kind.NUMBER,
        named=True,
    )
    yield Panel(
        "What is running?",
        "Processes by version of the program and by how its engine runs. Two versions: a roll-out is under way.",
        Unit.COUNT,
        (Query("count by (version, engine) (pegel_build_info)", "{{version}} {{engine}}"),),
        Kind.NUMBER,
    )
    yield Panel(
        "How many transitions are there?",
        "A flood or a silence is worth a look at the segments.",
        Unit.PER_SECOND,
        (Query(rate("pegel_transitions_total", "direction"), "{{direction}}"),),
    )


def _objectives() -> Iterator[Panel]:
    for objective in OBJECTIVES:
        yield _budget(objective)
    for objective in OBJECTIVES:
        yield _burn(objective)


def _budget(objective: Objective) -> Panel:
    window = f"{BUDGET_DAYS}d"
    bad, everything = objective.bad(window), objective.all(window)
    return Panel(
        f"{NAMES[objective.alert]}: how much of the budget is left?",
        f"Of the {1 - objective.share:.0%} that may go wrong over {BUDGET_DAYS} days, the part that is not used up. "
        "Below 0 the objective was missed.",
        Unit.RATIO,
        # Without any volume nothing was used up.
        (Query(f"1 - ({bad}) / (({everything}) > 0) / {1 - objective.share:.4g}", _legend(objective), rare=True),),
        Kind.NUMBER,
        Limits(0, 0.25, less_is_worse=True),
    )


def _burn(objective: Objective) -> Panel:
    budget = f"{1 - objective.share:.4g}"
    return Panel(
        f"{NAMES[objective.alert]}: how fast does the budget burn?",
        "1 is the even pace, which uses it up by the end of its days. Above 14.4 over an hour, or 6 over six hours, "
        "somebody is paged.",
        Unit.TIMES,
        tuple(
            Query(f"max({series}) / {budget}", series.rpartition("ratio_rate")[2])
            for series in map(objective.errors, WINDOWS_S)
        ),
        limits=Limits(BURNS[0].times, BURNS[1].times),
    )


def _legend(objective: Objective) -> str:
    return "{{destination}}" if objective.by == "destination" else ""


def _load() -> Iterator[Panel]:
    yield Panel(
        "How many records does each stage apply?",
        "Control records included.",
        Unit.EVENTS_PER_SECOND,
        (Query(rate("pegel_records_total", "stage"), "{{stage}}"),),
    )
    yield Panel(
        "How many accounts are there?",
        "Rows of state of engagement; intake's rows are users whose account it has learned.",
        Unit.COUNT,
        (Query("sum by (stage) (pegel_state_rows)", "{{stage}}"),),
    )
    yield Panel(
        "Do messages reach people?",
        "Attempts that a destination took, and the oldest delivery that waits is on the board of deliveries.",
        Unit.PER_SECOND,
        (Query(rate("pegel_deliveries_total", "destination", 'reason="delivered"'), "{{destination}}"),),
    )
