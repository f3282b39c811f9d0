"""What a case is, and how it becomes a document for `promtool test rules`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.prometheus.pace import MINUTE, duration
from deploy.prometheus.rules import Alert, Group, Site


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert as it must be: its labels but `severity` and those that its rule adds, and its description."""

    description: str
    labels: Mapping[str, str] = field(default_factory=dict)
    rule: Mapping[str, str] = field(default_factory=dict)
    """The labels of the rule that is meant, where several have one name."""


@dataclass(frozen=True, slots=True)
class Case:
    """Samples, and what fires at `at_s`: nothing, in the near miss.

    Where something fires, `at_s` is the first moment at which it does: so a case says how long it takes, too.
    """

    alert: str
    law: str
    """What is shown, after the alert's name."""
    series: Mapping[str, str]
    """Selector and values, in promtool's notation: `0+1x10` are 0, 1, ... 10, one a step."""
    at_s: int
    fires: Sequence[Firing] = ()
    step_s: int = MINUTE
    before: Sequence[Firing] | None = ()
    """What fires one step earlier, where something fires at all; None: that is another case's matter."""

    def document(self, alerts: Sequence[Alert], site: Site) -> dict[str, Any]:
        return {
            "name": f"{self.alert} {self.law}",
            "interval": duration(self.step_s),
            "input_series": [{"series": series, "values": values} for series, values in self.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": duration(at_s),
                    "alertname": self.alert,
                    "exp_alerts": [_expected(firing, self._rule(firing, alerts), site) for firing in firings],
                }
                for at_s, firings in self._moments()
            ],
        }

    def _moments(self) -> Iterator[tuple[int, Sequence[Firing]]]:
        if self.fires and self.before is not None:
            yield self.at_s - self.step_s, self.before
        yield self.at_s, self.fires

    def _rule(self, firing: Firing, alerts: Sequence[Alert]) -> Alert:
        (rule,) = (
            alert for alert in alerts if alert.name == self.alert and firing.rule.items() <= alert.labels.items()
        )
        return rule


def _expected(firing: Firing, rule: Alert, site: Site) -> dict[str, Any]:
    labels = {"severity": rule.severity.value, **rule.labels, **firing.labels}
    annotations = rule.annotations(site) | {"description": firing.description}
    for label, word in labels.items():
        annotations["summary"] = annotations["summary"].replace(f"{{{{ $labels.{label} }}}}", word)
    return {"exp_labels": labels, "exp_annotations": annotations}


def documents(cases: Sequence[Case], groups: Sequence[Group], site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """A file for each alert and step: promtool evaluates all cases of a file at one interval, and all of its rules."""
    by_file: dict[tuple[str, int], list[Case]] = {}
    for case in cases:
        by_file.setdefault((case.alert, case.step_s), []).append(case)
    for (alert, step_s), ours in by_file.items():
        (group,) = (group for group in groups if alert in {rule.name for rule in group.alerts})
        runbook = next(rule.runbook for rule in group.alerts if rule.name == alert)
        name = runbook if step_s == MINUTE else f"{runbook}-{duration(step_s)}"
        yield (
            f"{name}.yml",
            {
                "rule_files": [f"../rules/{group.file}"],
                "evaluation_interval": duration(step_s),
                "tests": [case.document(group.alerts, site) for case in ours],
            },
        )
