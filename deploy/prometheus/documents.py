"""Which files there are, and what is in them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from deploy.prometheus import canary, delivery, heartbeat, pipeline, slos, workers
from deploy.prometheus.cases import CASES
from deploy.prometheus.cases.case import documents as case_documents
from deploy.prometheus.rules import Group, Site

HEADER: Final = "# Made by `python -m deploy.prometheus`; change deploy/prometheus/**.py instead.\n"
RULES: Final = "deploy/prometheus/rules"
CASES_FOLDER: Final = "deploy/prometheus/cases"
INDEX: Final = "docs/runbooks/README.md"

INDEX_HEAD: Final = """# Runbooks

One page for each alert, for whoever is woken by it and did not build this. Each says what the alert sees, what users
notice, where to look first, what to do, how to see that it is done, and what not to do. PromQL goes into Prometheus or
Grafana; `pegel` commands run wherever there is a configuration that reaches the brokers (`PEGEL_CONFIG`, or in a
container of the image). None of the commands under *First look* changes anything. A [game day](../gameday.md) causes
the usual faults on purpose and follows these pages.

A **page** is something that users feel, or will before morning. A **ticket** is a cause, or something that can wait
for working hours. Three facts help at night: nothing that is committed is ever lost by a restart; a worker that
stands still loses nothing as long as Kafka keeps the records; and `pegel doctor` examines everything without changing
anything.

<!-- The table is made by `python -m deploy.prometheus`. -->

| alert | severity | says |
|---|---|---|
"""


def groups(site: Site) -> list[Group]:
    """Every rule, in groups."""
    return [group for module in (slos, canary, workers, pipeline, delivery, heartbeat) for group in module.groups(site)]


def rules_document(site: Site) -> dict[str, Any]:
    """All of it, as Kubernetes' PrometheusRule has it for its `spec`."""
    return {"groups": [group.document(site) for group in groups(site)]}


def rules_files(site: Site) -> Iterator[tuple[str, str]]:
    """What Prometheus reads: name and content, a file for each group."""
    for group in groups(site):
        yield group.file, as_yaml({"groups": [group.document(site)]})


def committed() -> Iterator[tuple[str, str]]:
    """Path in the repository and content of every file that is made from this package."""
    site = Site()
    for name, content in rules_files(site):
        yield f"{RULES}/{name}", content
    for name, document in case_documents(CASES, groups(site), site):
        yield f"{CASES_FOLDER}/{name}", as_yaml(document)
    yield INDEX, index(groups(site))


def index(of: Sequence[Group]) -> str:
    """The page that lists the runbooks."""
    first = {alert.name: alert for group in reversed(of) for alert in reversed(group.alerts)}
    severities: dict[str, list[str]] = {}
    for group in of:
        for alert in group.alerts:
            told = severities.setdefault(alert.name, [])
            told += [alert.severity.value] if alert.severity.value not in told else []
    rows = [
        f"| [{name}]({first[name].runbook}.md) | {', '.join(told)} | {_generic(first[name].summary)} |"
        for name, told in severities.items()
    ]
    return INDEX_HEAD + "\n".join(rows) + "\n"


def _generic(summary: str) -> str:
    """Without an occurrence's labels."""
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", summary)


def as_yaml(document: Mapping[str, Any]) -> str:
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines stay what they are to read; what occurs twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
