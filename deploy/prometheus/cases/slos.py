"""How fast budgets burn."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter
from deploy.prometheus.pace import DAY, HOUR, MINUTE

Pieces = tuple[tuple[int, float], ...]

QUIET: Final = 240
"""Minutes before it begins: twelve bad ones are then less than 6 %."""

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
    few: float = 0.5
    """A minute: below the minimum volume over an hour."""

    def case(self, law: str, good: Pieces, bad: Pieces, at_s: int, step_s: int, *fires: Firing) -> Case:
        return Case(self.alert, law, self.series(good, bad), at_s, fires, step_s)

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
        few=0.25,
    ),
)


def _cases(of: Indicator) -> Iterator[Case]:
    yield of.case(
        "pages when all is bad for twelve minutes", ((QUIET, 10), (12, 0)), ((QUIET, 0), (12, 10)),
        (QUIET + 12) * MINUTE, MINUTE, of.firing("20%", HOUR_RULE),
    )  # fmt: skip
    yield of.case(
        "is silent about eight bad minutes", ((QUIET, 10), (8, 0)), ((QUIET, 0), (8, 10)), (QUIET + 8) * MINUTE, MINUTE
    )
    yield of.case(
        "is silent when twelve bad minutes are over",
        ((QUIET, 10), (12, 0), (6, 10)), ((QUIET, 0), (12, 10), (6, 0)), (QUIET + 18) * MINUTE, MINUTE,
    )  # fmt: skip
    yield of.case(
        "is silent where there are few",
        ((QUIET, of.few), (12, 0)),
        ((QUIET, 0), (12, of.few)),
        (QUIET + 12) * MINUTE,
        MINUTE,
    )
    yield of.case(
        "pages when eight in a hundred are bad for hours", ((96, 92),), ((96, 8),), 8 * HOUR, 5 * MINUTE,
        of.firing("8%", HOURS_RULE), of.firing("8%", DAYS_RULE),
    )  # fmt: skip
    yield of.case(
        "leaves five in a hundred for hours to a ticket", ((96, 95),), ((96, 5),), 8 * HOUR, 5 * MINUTE,
        of.firing("5%", DAYS_RULE),
    )  # fmt: skip
    yield of.case(
        "leaves two in a hundred for days to a ticket", ((288, 98),), ((288, 2),), 3 * DAY, 15 * MINUTE,
        of.firing("2%", DAYS_RULE),
    )  # fmt: skip
    yield of.case("is silent about nine in a thousand for days", ((288, 991),), ((288, 9),), 3 * DAY, 15 * MINUTE)


CASES: Final = tuple(case for indicator in INDICATORS for case in _cases(indicator))
