"""Every query of the dashboards, in a real Prometheus that scrapes real workers at work."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.documents import boards
from deploy.prometheus.documents import as_yaml, rules_document
from deploy.prometheus.rules import Site
from schemas.timestamps import format_ms
from streams.control_log import now_ms
from streams.dev.ports import free_ports
from streams.settings import Settings
from tests.kafka.canary import canary
from tests.kafka.workers import pegel, wait_for, workers
from tests.toolchains import program

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

WINDOW = "1m"
"""What Grafana would put for $__rate_interval."""
ANSWERED_S = 90
PLAYBOOK = """
format: 1
name: everything
destinations:
  - {id: out, type: file, directory: %s, file: told.ndjson}
templates:
  any: {title: "{{ account }}", body: "{{ segment }}"}
plays:
  - {id: all, destination: out, segments: ["*"], template: any}
"""
QUERIES = [(board, panel, query) for board in boards() for panel in board.panels for query in panel.queries]


@contextmanager
def prometheus(binary: str, folder: Path, ports: list[int]) -> Iterator[str]:
    """One that scrapes these ports each second, with all rules; its address."""
    (port,) = free_ports(1)
    (folder / "rules.yml").write_text(as_yaml(rules_document(Site())))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [
            {"job_name": "pegel", "static_configs": [{"targets": [f"127.0.0.1:{one}" for one in ports]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
            assert process.poll() is None, (folder / "prometheus.log").read_text()
        finally:
            process.kill()
            process.wait()


def asked(address: str, path: str, **parameters: str) -> dict[str, Any]:
    url = f"{address}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    except OSError as error:
        return {"status": "unreachable", "error": str(error)}
    return found


def unanswered(address: str) -> list[str]:
    """Queries that fail, and those without an answer that should have one."""
    found = []
    for board, panel, query in QUERIES:
        answer = asked(address, "/api/v1/query", query=query.expr.replace("$__rate_interval", WINDOW))
        if answer["status"] != "success":
            found.append(f"{board.uid}: {panel.title}: {query.expr}: {answer.get('error')}")
        elif not query.rare and not answer["data"]["result"]:
            found.append(f"{board.uid}: {panel.title}: {query.expr}: no data")
    return found


def require_answers(address: str) -> None:
    end_s = time.monotonic() + ANSWERED_S
    while (left := unanswered(address)) and time.monotonic() < end_s:
        time.sleep(1)
    assert left == []


def require_exemplars(address: str) -> None:
    """Points of the freshness panel lead to transitions."""
    end_s = now_ms() / 1_000
    answer = asked(
        address, "/api/v1/query_exemplars", query="pegel_freshness_seconds_bucket",
        start=str(end_s - 300), end=str(end_s),
    )  # fmt: skip
    assert answer["status"] == "success"
    labels = [one["labels"] for series in answer["data"] for one in series["exemplars"]]
    assert labels
    assert {len(one["transition_id"]) for one in labels} == {36}


def test_every_query_of_the_dashboards_is_answered_and_nobody_is_told_of_the_canary(
    deployment: Settings, tmp_path: Path
) -> None:
    binary = program("prometheus", "prometheus")
    told = tmp_path / "told.ndjson"
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK % tmp_path)
    more = {"PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"), "PEGEL_INTAKE__ALIGNMENT_MS": "0"}
    with (
        canary(deployment, tmp_path) as watched,
        workers(deployment, tmp_path, more, "intake", "engagement", "router", "courier") as running,
        prometheus(binary, tmp_path, [*(one._port for one in running.values()), watched.port]) as address,
    ):
        event = {"type": "group", "groupId": "acme", "traits": {"name": "Acme"}, "timestamp": format_ms(now_ms())}
        published = pegel(deployment, "publish", "-", stdin=json.dumps(event).encode())
        assert published.returncode == 0, published.stderr.decode()
        wait_for(told.exists, *running.values())
        require_answers(address)
        require_exemplars(address)
        wait_for(lambda: watched.outcome("seen") > 0, *running.values())
        assert {json.loads(line)["transition"]["account_id"] for line in told.read_text().splitlines()} == {"acme"}
