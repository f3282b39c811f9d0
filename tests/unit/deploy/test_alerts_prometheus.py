"""The rules and the example of Alertmanager, tried by Prometheus' own programs."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.__main__ import HERE
from deploy.prometheus.documents import as_yaml, groups, rules_document
from deploy.prometheus.pace import Pace
from deploy.prometheus.rules import Alert, Severity, Site
from streams.dev.ports import free_ports
from tests.toolchains import missing, program

ALERTS = {
    (alert.name, alert.severity): alert for group in groups(Site()) for alert in group.rules if isinstance(alert, Alert)
}
CONFIG = HERE / "alertmanager.yml"
START_S = 20


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=240, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def promtool() -> str:
    return program("promtool", "prometheus")


@pytest.fixture(scope="module")
def amtool() -> str:
    return program("amtool", "prometheus-alertmanager")


# -- promtool ----------------------------------------------------------------------------------------------------------


def test_prometheus_takes_the_rules(promtool: str) -> None:
    run(promtool, "check", "rules", *sorted((HERE / "rules").glob("*.yml")))


def test_prometheus_takes_the_rules_of_a_quicker_site(promtool: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(as_yaml(rules_document(Site(Pace(1 / 120, window_min_s=5)))))

    run(promtool, "check", "rules", rules)


@pytest.mark.parametrize("rules", [group.file for group in groups(Site())])
def test_every_alert_fires_when_it_should_and_is_silent_when_it_nearly_should(promtool: str, rules: str) -> None:
    files = [path for path in sorted((HERE / "cases").glob("*.yml")) if f"/rules/{rules}\n" in path.read_text()]

    said = run(promtool, "test", "rules", *files)

    assert said.count("SUCCESS") == len(files) > 0


def test_prometheus_takes_its_configuration(promtool: str) -> None:
    run(promtool, "check", "config", "--syntax-only", HERE / "prometheus.yml")


# -- amtool ------------------------------------------------------------------------------------------------------------


def test_alertmanager_takes_the_example(amtool: str) -> None:
    assert "SUCCESS" in run(amtool, "check-config", CONFIG)


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: f"{alert.name} {alert.severity.value}")
def test_an_alert_goes_to_the_receiver_of_its_severity(amtool: str, alert: Alert) -> None:
    receiver = {Severity.PAGE: "page", Severity.TICKET: "tickets", Severity.HEARTBEAT: "heartbeat"}[alert.severity]
    labels = {"alertname": alert.name, "severity": alert.severity.value, **alert.labels}

    run(
        amtool, "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}",
        *(f"{name}={word}" for name, word in labels.items()),
    )  # fmt: skip


# -- what is not said twice --------------------------------------------------------------------------------------------

Fire = Callable[..., dict[str, bool]]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with the example's inhibitions, and receivers that nobody is behind; its address."""
    binary = program("prometheus-alertmanager", "prometheus-alertmanager")
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_ports(1)[0]
    config = yaml.safe_load(CONFIG.read_text())
    config["receivers"] = [{"name": receiver["name"]} for receiver in config["receivers"]]
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    address = f"http://127.0.0.1:{port}"
    command = [
        binary, f"--config.file={folder / 'config.yml'}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(f"{address}/-/ready", process)
            yield address
        finally:
            process.terminate()


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    missing(f"Alertmanager did not get ready (exit status {process.poll()}); is {address} blocked?")


@pytest.fixture
def silenced(alertmanager: str) -> Iterator[Fire]:
    """Fire alerts, each given as the name with its labels; says of each whether it is inhibited."""
    fired: list[dict[str, str]] = []

    def fire(**alerts: dict[str, str]) -> dict[str, bool]:
        for name, labels in alerts.items():
            fired.append({"alertname": re.sub(r"_.*", "", name), "case": name, **labels})
        _post(alertmanager, [{"labels": labels} for labels in fired])
        return {one["labels"]["case"]: bool(one["status"]["inhibitedBy"]) for one in _settled(alertmanager, len(fired))}

    yield fire
    _post(alertmanager, [{"labels": labels, "endsAt": "2020-01-01T00:00:00Z"} for labels in fired])
    _settled(alertmanager, 0)


def _post(address: str, alerts: list[dict[str, Any]]) -> None:
    data = json.dumps(alerts).encode()
    request = urllib.request.Request(f"{address}/api/v2/alerts", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10):
        pass


def _settled(address: str, count: int) -> list[dict[str, Any]]:
    """All alerts, once each has been routed; statuses are as of the question."""
    end = time.monotonic() + START_S
    while True:
        with urllib.request.urlopen(f"{address}/api/v2/alerts", timeout=10) as answer:
            alerts: list[dict[str, Any]] = json.load(answer)
        if len(alerts) == count and all(one["status"]["state"] != "unprocessed" for one in alerts):
            return alerts
        assert time.monotonic() < end, alerts
        time.sleep(0.05)


PAGE, TICKET = {"severity": "page"}, {"severity": "ticket"}


def test_a_page_silences_the_ticket_of_the_same_budget(silenced: Fire) -> None:
    said = silenced(
        PegelFreshnessBudgetBurn_fast=PAGE | {"stage": "engagement", "window": "1h"},
        PegelFreshnessBudgetBurn_slow=TICKET | {"stage": "engagement", "window": "3d"},
        PegelDeliveryBudgetBurn_fast=PAGE | {"destination": "team", "window": "1h"},
        PegelDeliveryBudgetBurn_slow=TICKET | {"destination": "other", "window": "3d"},
    )

    assert [name for name, inhibited in said.items() if inhibited] == ["PegelFreshnessBudgetBurn_slow"]


def test_brokers_that_do_not_answer_silence_what_follows_from_it_and_the_canary(silenced: Fire) -> None:
    said = silenced(
        PegelBrokersSilent=PAGE | {"stage": "engagement"},
        PegelStageDown=PAGE | {"stage": "engagement"},
        PegelStageDown_other=PAGE | {"stage": "router"},
        PegelCanaryBroken_missed=PAGE | {"outcome": "missed"},
        PegelCanaryBroken_wrong=PAGE | {"outcome": "wrong"},
    )

    assert {name for name, inhibited in said.items() if inhibited} == {"PegelStageDown", "PegelCanaryBroken_missed"}


def test_a_stage_that_is_down_silences_what_follows_from_it_and_nothing_of_another_stage(silenced: Fire) -> None:
    said = silenced(
        PegelStageDown=PAGE | {"stage": "engagement"},
        PegelLagGrowing=PAGE | {"stage": "engagement"},
        PegelLagGrowing_router=PAGE | {"stage": "router"},
        PegelCanaryBroken=PAGE | {"outcome": "missed"},
        PegelCanaryBroken_wrong=PAGE | {"outcome": "wrong"},
        PegelUndelivered=PAGE | {"destination": "team"},
    )

    assert {name for name, inhibited in said.items() if inhibited} == {"PegelLagGrowing", "PegelCanaryBroken"}


def test_a_notifier_that_is_down_does_not_silence_the_canary(silenced: Fire) -> None:
    said = silenced(PegelStageDown=PAGE | {"stage": "courier"}, PegelCanaryBroken=PAGE | {"outcome": "missed"})

    assert not any(said.values())


def test_a_worker_that_is_down_silences_no_page(silenced: Fire) -> None:
    said = silenced(
        PegelWorkerDown=TICKET | {"instance": "a", "job": "pegel"},
        PegelWorkerRestarting=TICKET | {"instance": "a", "job": "pegel"},
        PegelLagGrowing=PAGE | {"stage": "engagement"},
        PegelPartitionsUnowned=PAGE | {"stage": "engagement"},
    )

    assert not any(said.values())


def test_what_is_known_of_a_destination_is_said_once(silenced: Fire) -> None:
    said = silenced(
        PegelUndelivered=PAGE | {"destination": "team"},
        PegelBreakerOpen=TICKET | {"destination": "team"},
        PegelBreakerOpen_other=TICKET | {"destination": "other"},
        PegelDeliveryBudgetBurn=PAGE | {"destination": "mail", "window": "6h"},
        PegelDeadLetters=TICKET | {"destination": "mail", "reason": "rejected"},
    )

    assert {name for name, inhibited in said.items() if inhibited} == {"PegelBreakerOpen", "PegelDeadLetters"}
