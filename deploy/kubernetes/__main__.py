"""`python -m deploy.kubernetes`: the rules of `deploy.prometheus` as the Prometheus operator takes them."""

import sys
from typing import Any

from deploy.prometheus.documents import as_yaml, rules_document
from deploy.prometheus.rules import Site


def prometheus_rule(site: Site) -> dict[str, Any]:
    metadata = {"name": "pegel", "labels": {"app.kubernetes.io/name": "pegel"}}
    kind = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule"}
    return {**kind, "metadata": metadata, "spec": rules_document(site)}


def written() -> str:
    return as_yaml(prometheus_rule(Site()))


if __name__ == "__main__":
    sys.stdout.write(written())
