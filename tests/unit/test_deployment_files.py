"""Laws of what is shipped beside the code: pinned, consistent, valid."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.dev.docker_broker import IMAGE
from streams.dev.jars import pom_file
from streams.topics import Topics

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^[\w./-]+:v?\d+(\.\d+)+[\w.-]*$")


def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_every_image_is_pinned_to_a_version() -> None:
    images = [service["image"] for service in compose()["services"].values()]
    bases = re.findall(r"^FROM (\S+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)

    assert images
    assert bases
    assert [image for image in images + bases if not PINNED.match(image)] == []


def test_kafka_is_of_one_version_everywhere() -> None:
    (in_pom,) = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>([^<]+)<", pom_file().read_text())

    assert compose()["services"]["kafka"]["image"] == IMAGE == f"apache/kafka:{in_pom}"


def test_our_containers_run_as_nobody_special_on_a_read_only_root() -> None:
    services = compose()["services"]

    for name in ("topics", "intake", "engagement", "router", "courier", "prometheus"):
        assert services[name]["read_only"] is True
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", services[name]["user"])
        assert services[name]["cap_drop"] == ["ALL"]


def test_workers_wait_for_topics_and_topics_for_kafka() -> None:
    services = compose()["services"]

    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in ("intake", "engagement", "router", "courier"):
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
        assert services[name]["command"] == ["worker", name]
        assert services[name]["healthcheck"]


def test_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose plugin here")

    run = subprocess.run([docker, "compose", "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_a_lock_file_pins_every_package_with_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())

    assert len(packages) > 3
    assert [one.split()[0] for one in packages if "==" not in one.split()[0] or "--hash=sha256:" not in one] == []
    assert "://" not in text
    assert "index" not in text


def test_the_lock_files_hold_all_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [re.split(r"[<>=\[ ]", one)[0].lower() for one in project["project"]["dependencies"]]
    wanted_dev = [
        re.split(r"[<>=\[ ]", one)[0].lower() for one in project["dependency-groups"]["dev"] if isinstance(one, str)
    ]
    locked = set(re.findall(r"^([a-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    locked_dev = set(re.findall(r"^([a-z0-9_.-]+)==", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))

    assert set(wanted) <= locked <= locked_dev
    assert set(wanted_dev) <= locked_dev


def test_prometheus_looks_at_every_worker_where_it_listens() -> None:
    scrape = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    (found,) = scrape[0]["dns_sd_configs"]

    assert found["names"] == ["intake", "engagement", "router", "courier"]
    assert str(found["port"]) == compose()["services"]["intake"]["environment"]["PEGEL_WEB__PORT"]


def test_no_two_topics_share_a_name() -> None:
    assert len(set(Topics().all())) == len(Topics().all())
