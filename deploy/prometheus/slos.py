"""The objectives, and the alerts on how fast their budgets burn. docs/slo.md says why they are what they are.

Theory of operation. An objective of 99 % over 30 days is a budget: 1 % may be bad. What matters is how fast it is
spent. At 14.4 times the even pace a 50th of it is gone in an hour; at 6 times, a 20th in six hours; at 1 time, a tenth
in three days. Each of these long windows says that it matters, a short one beside it that it still goes on: so an
alert comes soon, and goes soon after its cause. A share of very few says nothing: below a minimum volume no alert
fires, and the canary, which has a volume of its own, is who notices.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from deploy.prometheus.pace import DAY, HOUR, MINUTE, Pace, number
from deploy.prometheus.rules import Alert, Dashboard, Group, Recording, Severity, Site
from schemas.action import Reason

BUDGET_DAYS: Final = 30

FRESH_S: Final = 5.0
"""A bucket of pegel_freshness_seconds ends here."""
FRESH_STAGE: Final = "engagement"
"""What it writes is counted from the arrival of the product event: intake's time is in it."""

_GIVEN_UP: Final = (
    Reason.REJECTED,
    Reason.DESTINATION_GONE,
    Reason.EXPIRED,
    Reason.BACKLOG_FULL,
    Reason.TEMPLATE_FAILED,
    Reason.PLAY_REMOVED,
)
GIVEN_UP: Final = "|".join(_GIVEN_UP)
"""How a delivery ends that becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Burn:
    """So many times the even pace, over a long window and a short one."""

    times: float
    long_s: int
    short_s: int
    hold_s: int
    severity: Severity


BURNS: Final = (
    Burn(14.4, HOUR, 5 * MINUTE, 2 * MINUTE, Severity.PAGE),
    Burn(6, 6 * HOUR, 30 * MINUTE, 15 * MINUTE, Severity.PAGE),
    Burn(1, 3 * DAY, 6 * HOUR, HOUR, Severity.TICKET),
)
WINDOWS_S: Final = tuple(sorted({window for burn in BURNS for window in (burn.long_s, burn.short_s)}))
NOMINAL: Final = Pace()


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of good ones that is promised. `bad` and `all` give PromQL for a range such as `5m`."""

    alert: str
    series: str
    """`level:what`, from which the names of the recorded series are made."""
    by: str
    share: float
    volume_min: int
    bad: Callable[[str], str]
    all: Callable[[str], str]
    what: str
    """What a bad one is, after a percentage."""
    summary: str
    dashboard: Dashboard

    def errors(self, window_s: int) -> str:
        return f"{self.series}_errors:ratio_rate{NOMINAL.window(window_s)}"

    def volume(self, window_s: int) -> str:
        return f"{self.series}:increase{NOMINAL.window(window_s)}"


def _fresh(window: str, le: str) -> str:
    series = f'bucket{{stage="{FRESH_STAGE}", le="{le}"}}'
    return f"sum by (stage) (increase(pegel_freshness_seconds_{series}[{window}]))"


def _deliveries(window: str, reasons: str) -> str:
    return f'sum by (destination) (increase(pegel_deliveries_total{{reason=~"{reasons}"}}[{window}]))'


OBJECTIVES: Final = (
    Objective(
        alert="PegelFreshnessBudgetBurn",
        series="stage:pegel_freshness",
        by="stage",
        share=0.99,
        volume_min=50,
        bad=lambda window: f"{_fresh(window, '+Inf')} - {_fresh(window, str(FRESH_S))}",
        all=lambda window: _fresh(window, "+Inf"),
        what=f"of the transitions came later than {FRESH_S:g} s after the event that made them",
        summary="Transitions come late",
        dashboard=Dashboard.OVERVIEW,
    ),
    Objective(
        alert="PegelIntakeBudgetBurn",
        series="stage:pegel_intake",
        by="stage",
        share=0.99,
        volume_min=100,
        bad=lambda window: f'sum by (stage) (increase(pegel_rejected_total{{stage="intake"}}[{window}]))',
        all=lambda window: f'sum by (stage) (increase(pegel_records_total{{stage="intake"}}[{window}]))',
        what="of the records that producers sent were refused",
        summary="Intake refuses much of what producers send",
        dashboard=Dashboard.OVERVIEW,
    ),
    Objective(
        alert="PegelDeliveryBudgetBurn",
        series="destination:pegel_delivery",
        by="destination",
        share=0.99,
        volume_min=20,
        bad=lambda window: _deliveries(window, GIVEN_UP),
        all=lambda window: _deliveries(window, f"{Reason.DELIVERED}|{GIVEN_UP}"),
        what="of the messages for {{ $labels.destination }} were given up and became dead letters",
        summary="Messages for {{ $labels.destination }} are lost to dead letters",
        dashboard=Dashboard.DELIVERY,
    ),
)


def groups(site: Site) -> Iterator[Group]:
    for objective in OBJECTIVES:
        rules: list[Recording | Alert] = [*_recordings(objective, site.pace), *_burns(objective, site.pace)]
        yield Group(f"slo-{objective.series.split('_')[-1]}", rules)


def _recordings(objective: Objective, pace: Pace) -> Iterator[Recording]:
    for window_s in WINDOWS_S:
        window = pace.window(window_s)
        yield Recording(objective.volume(window_s), objective.all(window))
        yield Recording(objective.errors(window_s), f"(\n  {objective.bad(window)}\n)\n/\n{objective.volume(window_s)}")


def _burns(objective: Objective, pace: Pace) -> Iterator[Alert]:
    for burn in BURNS:
        limit, long = number(burn.times * (1 - objective.share)), pace.window(burn.long_s)
        yield Alert(
            objective.alert,
            f"{objective.errors(burn.long_s)} > {limit}\n"
            f"and {objective.errors(burn.short_s)} > {limit}\n"
            f"and {objective.volume(burn.long_s)} >= {pace.volume(objective.volume_min)}",
            burn.severity,
            objective.summary,
            f"{{{{ $value | humanizePercentage }}}} {objective.what}, over the last {long}; at most "
            f"{number(100 * (1 - objective.share))}% may be so over {BUDGET_DAYS} days. "
            f"At {burn.times:g} times the even pace the budget is gone in {BUDGET_DAYS / burn.times:.2g} days.",
            objective.dashboard,
            burn.hold_s,
            {"window": NOMINAL.window(burn.long_s)},
        )
