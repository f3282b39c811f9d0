"""What a rule is, and how groups of them become the document that Prometheus reads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from deploy.prometheus.pace import Pace

PREFIX: Final = "Pegel"


class Severity(StrEnum):
    """Who is told, and when."""

    PAGE = "page"  # somebody, now
    TICKET = "ticket"  # the team, in working hours
    HEARTBEAT = "heartbeat"  # a machine, all the time: it tells somebody when it hears nothing


class Dashboard(StrEnum):
    """The dashboard that shows most of an alert; its uid in Grafana."""

    OVERVIEW = "pegel-overview"
    ENGINE = "pegel-engine"
    DELIVERY = "pegel-delivery"
    KAFKA = "pegel-kafka"


@dataclass(frozen=True, slots=True)
class Site:
    """What differs between deployments."""

    pace: Pace = field(default_factory=Pace)
    runbooks: str = "https://runbooks.example.com/pegel"
    """Where docs/runbooks is served, one page a file, named as there without `.md`."""
    dashboards: str = "https://grafana.example.com/d"
    jobs: str = ".*pegel.*"
    """A regular expression of the `job` labels under which Pegel's processes are scraped."""
    memory_limit_bytes: int = 2 << 30
    """What a worker may take before somebody ends it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed from others."""

    record: str
    expr: str

    def document(self, _: Site) -> dict[str, Any]:
        return {"record": self.record, "expr": self.expr}


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition, and what to tell whom.

    One name may have several rules that say the same of different windows; all have one runbook.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    dashboard: Dashboard
    hold_s: float = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert re.fullmatch(rf"{PREFIX}([A-Z][a-z]+)+", self.name), self.name

    @property
    def runbook(self) -> str:
        """The name of its page: PegelStageDown -> stage-down."""
        return "-".join(word.lower() for word in re.findall("[A-Z][a-z]+", self.name.removeprefix(PREFIX)))

    def document(self, site: Site) -> dict[str, Any]:
        held = {"for": site.pace.hold(self.hold_s)} if self.hold_s else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            **held,
            "labels": {"severity": self.severity.value, **self.labels},
            "annotations": self.annotations(site),
        }

    def annotations(self, site: Site) -> dict[str, str]:
        return {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{site.runbooks}/{self.runbook}",
            "dashboard_url": f"{site.dashboards}/{self.dashboard.value}",
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, from one moment's samples."""

    name: str
    rules: Sequence[Recording | Alert]

    @property
    def file(self) -> str:
        return f"{self.name}.yml"

    @property
    def alerts(self) -> list[Alert]:
        return [rule for rule in self.rules if isinstance(rule, Alert)]

    def document(self, site: Site) -> dict[str, Any]:
        return {"name": f"pegel-{self.name}", "rules": [rule.document(site) for rule in self.rules]}
