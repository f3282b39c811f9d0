"""Which files there are, and what is in them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from deploy.prometheus import canary, delivery, heartbeat, pipeline, slos, workers
from deploy.prometheus.cases import CASES
from deploy.prometheus.cases.case import documents as case_documents
from deploy.prometheus.rules import Group, Site

HEADER: Final = "# Made by `python -m deploy.prometheus`; change deploy/prometheus/**.py instead.\n"
RULES: Final = "rules"
CASES_FOLDER: Final = "cases"


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
    """Path below this folder and content of every file that is made from it."""
    site = Site()
    for name, content in rules_files(site):
        yield f"{RULES}/{name}", content
    for name, document in case_documents(CASES, groups(site), site):
        yield f"{CASES_FOLDER}/{name}", as_yaml(document)


def as_yaml(document: Mapping[str, Any]) -> str:
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines stay what they are to read; what occurs twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
