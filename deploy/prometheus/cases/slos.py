"""How fast budgets burn."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter
from deploy.prometheus.pace import MINUTE
from deploy.prometheus.slos import OBJECTIVES

Pieces = tuple[tuple[int, float], ...]

HOUR_RULE: Final = {"window": "1h"}
HOURS_RULE: Final = {"window": "6h"}
DAYS_RULE: Final = {"window": "3d"}


@dataclass(frozen=True, slots=True)
class Indicator:
    """How good and bad ones show, each growing by pieces of (steps, so many a step)."""

    alert: str
    series: Callable[[Pieces, Pieces], Mapping[str, str]]
    says: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def few(self) -> float:
        """A little below the minimum volume."""
        (volume,) = (objective.volume_min for objective in OBJECTIVES if objective.alert == self.alert)
        return 0.9 * volume

    def firing(self, share: str, rule: Mapping[str, str]) -> Firing:
        pace = {
            "1h": "14.4 times the even pace the budget is gone in 2.1 days",
            "6h": "6 times the even pace the budget is gone in 5 days",
            "3d": "1 times the even pace the budget is gone in 30 days",
        }[rule["window"]]
        text = f"{share} {self.says}, over the last {rule['window']}; at most 1% may be so over 30 days. At {pace}."
        return Firing(text, self.labels, rule)


def _freshness(good: Pieces, bad: Pieces) -> Mapping[str, str]:
    of = "pegel_freshness_seconds_bucket{stage='engagement', instance='a', le='%s'}"
    return {of % "5.0": counter(*good), of % "+Inf": counter(*_both(good, bad))}


def _intake(good: Pieces, bad: Pieces) -> Mapping[str, str]:
    return {
        "pegel_rejected_total{stage='intake', instance='a', reason='not_json'}": counter(*bad),
        "pegel_records_total{stage='intake', instance='a'}": counter(*_both(good, bad)),
        "pegel_rejected_total{stage='engagement', instance='b', reason='not_json'}": counter((5_000, 100)),
    }


def _delivery(good: Pieces, bad: Pieces) -> Mapping[str, str]:
    of = "pegel_deliveries_total{stage='courier', instance='a', destination='%s', reason='%s'}"
    return {
        of % ("team", "delivered"): counter(*good),
        of % ("team", "expired"): counter(*bad),
        of % ("team", "retry_destination"): counter((5_000, 100)),
        of % ("other", "delivered"): counter((5_000, 100)),
    }


def _both(good: Pieces, bad: Pieces) -> Pieces:
    return tuple((steps, one + other) for (steps, one), (_, other) in zip(good, bad, strict=True))


INDICATORS: Final = (
    Indicator(
        "PegelFreshnessBudgetBurn",
        _freshness,
        "of the transitions came later than 5 s after the event that made them",
        {"stage": "engagement"},
    ),
    Indicator(
        "PegelIntakeBudgetBurn",
        _intake,
        "of the records that producers sent were refused",
        {"stage": "intake"},
    ),
    Indicator(
        "PegelDeliveryBudgetBurn",
        _delivery,
        "of the messages for team were given up and became dead letters",
        {"destination": "team"},
    ),
)


@dataclass(frozen=True, slots=True)
class Course:
    """Quiet for so many steps, then a share is bad, then perhaps all is well again."""

    of: Indicator
    step_s: int
    quiet: int
    a_step: float = 100

    def case(self, law: str, bad: float, steps: int, *fires: Firing, **more: Any) -> Case:
        """`over`: it ended so many steps ago. `few`: so many come in a step. What else is given is the case's."""
        over, a_step = more.pop("over", 0), more.pop("few", self.a_step)
        shares = [(self.quiet, 0.0), (steps, bad), *([(over, 0.0)] if over else [])]
        good = tuple((count, (1 - share) * a_step) for count, share in shares)
        spoilt = tuple((count, share * a_step) for count, share in shares)
        at_s = (self.quiet + steps + over) * self.step_s
        return Case(self.of.alert, law, self.of.series(good, spoilt), at_s, fires, self.step_s, **more)


def _cases(of: Indicator) -> Iterator[Case]:
    hour = Course(of, MINUTE, 195)
    yield hour.case("pages after eleven minutes when all is bad", 1, 11, of.firing("18.33%", HOUR_RULE))
    yield hour.case("is silent about eight bad minutes", 1, 8)
    yield hour.case("is silent about thirteen in a hundred for twenty minutes", 0.13, 20)
    yield hour.case("is silent when twelve bad minutes are over", 1, 12, over=6)
    yield hour.case("is silent where an hour has few", 1, 14, few=of.few / 60)

    hours = Course(of, 5 * MINUTE, 96)
    yield hours.case(
        "pages after three hours when fourteen in a hundred are bad", 0.14, 34,
        of.firing("6.611%", HOURS_RULE), of.firing("3.662%", DAYS_RULE), before=[of.firing("3.581%", DAYS_RULE)],
    )  # fmt: skip
    yield hours.case(
        "leaves eleven in a hundred for three hours to a ticket", 0.11, 38,
        of.firing("3.119%", DAYS_RULE), before=None,
    )  # fmt: skip
    yield hours.case(
        "leaves three hours that are over to a ticket", 0.14, 34, of.firing("3.474%", DAYS_RULE), over=7, before=None
    )
    yield hours.case(
        "leaves three hours that have few to a ticket", 1, 40,
        of.firing("29.41%", DAYS_RULE), few=of.few / 72, before=None,
    )  # fmt: skip

    days = Course(of, 30 * MINUTE, 144)
    yield days.case("files a ticket after a day and a half when two in a hundred are bad", 0.02, 75,
                    of.firing("1.042%", DAYS_RULE))  # fmt: skip
    yield days.case("is silent about nine in a thousand for days", 0.009, 150)
    yield days.case("is silent when a bad day and a half are over", 0.02, 80, over=13)
    yield days.case("is silent where days have few", 1, 144, few=of.few / 144)


CASES: Final = tuple(case for indicator in INDICATORS for case in _cases(indicator))
