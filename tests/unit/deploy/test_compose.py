"""Laws of docker-compose.yml: whole, contained, reachable from this machine alone, and in step with the program."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.prometheus.rules import Site
from streams.dev.docker_broker import IMAGE
from streams.dev.jars import pom_file
from streams.notify.playbooks import load_playbooks
from streams.security.roles import STAGES
from streams.settings import RuntimeSettings, load, setting_names, variable_of
from tests.unit.deploy.manifests import ROOT

FILE: Final = ROOT / "docker-compose.yml"
SERVICES: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
OURS: Final = {name: one for name, one in SERVICES.items() if one["image"].startswith("pegel:")}
RUNNING: Final = {name: one for name, one in OURS.items() if name not in ("topics", "pegel")}
PINNED: Final = re.compile(r"^[\w./-]+:v?\d+(\.\d+)+$")
BYTES: Final = {"m": 1 << 20, "g": 1 << 30}


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What the container gets where the user has set nothing: what has no value is not set."""
    variables = service.get("environment", {})
    return {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text) for name, text in variables.items() if text is not None}


def memory_bytes(service: dict[str, Any]) -> int:
    return int(service["mem_limit"][:-1]) * BYTES[service["mem_limit"][-1]]


def test_all_that_pegel_consists_of_is_there() -> None:
    assert {"kafka", "topics", *STAGES, "canary", "links", "prometheus", "alertmanager", "grafana"} <= SERVICES.keys()
    for stage in STAGES:
        assert SERVICES[stage]["command"] == ["worker", stage]
    assert {name for name, one in SERVICES.items() if "profiles" in one} == {"links", "pegel", "kafka-ui"}


def test_images_are_pinned_and_kafka_is_of_one_version_everywhere() -> None:
    assert [one["image"] for one in SERVICES.values() if not PINNED.match(one["image"])] == []
    (in_pom,) = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>([^<]+)<", pom_file().read_text())
    assert SERVICES["kafka"]["image"] == IMAGE == f"apache/kafka:{in_pom}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_contained(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"}
    assert "docker.sock" not in str(service)
    assert memory_bytes(service) <= 2 << 30
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    if name != "kafka":  # its image says why
        assert service["read_only"] is True
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*|kafkaui", service["user"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_alone(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_cannot_be_written(name: str) -> None:
    volumes = yaml.safe_load(FILE.read_text())["volumes"]
    for mounted in SERVICES[name].get("volumes", []):
        source, _, rest = mounted.partition(":")
        if source.startswith("./"):
            assert (ROOT / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in volumes


def test_what_runs_is_checked_and_started_again_and_what_ends_is_not() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    for name, service in SERVICES.items():
        ends = name in ("topics", "pegel")
        assert service["restart"] == ("no" if ends else "unless-stopped")
        if ends:
            assert service["healthcheck"] == {"disable": True}
        elif name in OURS:
            assert "HEALTHCHECK" in dockerfile
        else:
            assert service["healthcheck"]["test"]


def test_links_are_checked_at_a_page_that_they_have() -> None:
    service = SERVICES["links"]
    *command, page = service["healthcheck"]["test"]

    assert command == ["CMD", "python", "-m", "streams.healthcheck"]
    assert page == f"http://127.0.0.1:{service['command'][-1]}/livez"


def test_workers_wait_for_topics_and_topics_for_kafka() -> None:
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in RUNNING:
        assert SERVICES[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_a_worker_has_time_to_leave() -> None:
    for service in RUNNING.values():
        assert int(service["stop_grace_period"].removesuffix("s")) > RuntimeSettings().shutdown_timeout_s


def test_a_worker_may_take_what_its_alert_takes_for_granted() -> None:
    for stage in STAGES:
        assert memory_bytes(SERVICES[stage]) == Site().memory_limit_bytes


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_container_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = environment(OURS[name])
    known = {variable_of(path) for path, _ in setting_names()} | {"PEGEL_CONFIG", "PEGEL_SLACK_WEBHOOK_URL"}
    assert set(OURS[name]["environment"]) <= known

    config = ROOT / "deploy" / "compose" / Path(variables.pop("PEGEL_CONFIG")).name
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    settings = load(config).settings

    advertised = re.findall(r"INTERNAL://(kafka:\d+)", SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"])
    assert [settings.kafka.bootstrap] == advertised
    if settings.notify.playbooks is not None:
        assert load_playbooks(str(settings.notify.playbooks), os.environ).destinations


def test_prometheus_looks_at_every_process_where_it_listens() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (found,) = config["scrape_configs"][0]["dns_sd_configs"]

    assert set(found["names"]) == set(RUNNING)
    assert f"PEGEL_WEB__PORT={found['port']}" in (ROOT / "deploy" / "Dockerfile").read_text()
    for service in RUNNING.values():
        assert service["expose"] == [str(found["port"])]
    (alerted,) = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert SERVICES["alertmanager"]["ports"] == ["127.0.0.1:" + alerted.partition(":")[2] + ":9093"]


def test_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose plugin here; install docker-compose-plugin")

    command = [docker, "compose", "--profile", "*", "config", "--quiet"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
