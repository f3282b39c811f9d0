"""Laws of the manifests: valid, least privileged, and in step with what the program does and says.

Resources of operators (Strimzi, Prometheus, KEDA) have schemas of their own, which no package of ours brings: here they
are only held to what they are made from.
"""

import shutil
from pathlib import Path
from typing import Final

import kubernetes_validate
import pytest
import yaml

from deploy.kubernetes.__main__ import written
from deploy.prometheus.rules import Site
from streams.catalogs.load import load_catalog
from streams.cli import run
from streams.notify.playbooks import load_playbooks
from streams.security.roles import STAGES, Role
from streams.settings import (
    CONFIG_VARIABLE,
    SECRETS_VARIABLE,
    RuntimeSettings,
    Settings,
    load,
    setting_names,
    variable_of,
)
from streams.sizing import RECOVERY_ACCOUNTS_PER_S, START_S
from tests.unit.deploy.manifests import (
    KUBERNETES,
    KUSTOMIZE_KINDS,
    Document,
    build,
    container,
    documents,
    pod,
    role,
    selects,
    workloads,
)

OVERLAYS: Final = ("dev", "production")
EVERYTHING: Final = "everything"
API_VERSION: Final = "1.37.0"
OPERATORS: Final = ("strimzi.io", "monitoring.coreos.com", "keda.sh")
"""Whose kinds are no part of Kubernetes."""


@pytest.fixture(scope="module", params=[*OVERLAYS, EVERYTHING])
def overlay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to build: each overlay, and production with every component there is."""
    if request.param != EVERYTHING:
        return KUBERNETES / "overlays" / str(request.param)
    copy = tmp_path_factory.mktemp("everything") / "deploy"
    shutil.copytree(KUBERNETES.parent, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__", "demo"))
    copy /= "kubernetes"
    file = copy / "overlays" / "production" / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    mentioned = content["components"]
    others = sorted(f"../../components/{one.name}" for one in (copy / "components").iterdir())
    content["components"] = [one for one in others if one not in mentioned] + mentioned
    file.write_text(yaml.safe_dump(content))
    return file.parent


@pytest.fixture(scope="module")
def built(overlay: Path) -> list[Document]:
    return build(overlay)


@pytest.fixture
def settings(overlay: Path) -> Settings:
    """What the workers of an overlay read."""
    return load(overlay / "pegel.yaml").settings


def of_operator(document: Document) -> bool:
    return str(document["apiVersion"]).partition("/")[0].endswith(OPERATORS)


def named(built: list[Document], kind: str) -> dict[str, Document]:
    return {one["metadata"]["name"]: one for one in built if one["kind"] == kind}


def test_what_is_built_is_valid(built: list[Document]) -> None:
    for one in built:
        if not of_operator(one):
            kubernetes_validate.validate(one, API_VERSION, strict=True)


def test_a_misspelt_field_is_not_valid(built: list[Document]) -> None:
    broken = yaml.safe_load(yaml.safe_dump(named(built, "StatefulSet")["pegel-intake"]))
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 30

    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(broken, API_VERSION, strict=True)


@pytest.mark.parametrize("file", sorted(KUBERNETES.rglob("*.yaml")), ids=lambda file: str(file.relative_to(KUBERNETES)))
def test_each_file_that_is_whole_is_valid_by_itself(file: Path) -> None:
    """Also where kustomize is not at hand."""
    for one in documents(file.read_text()):
        if "apiVersion" in one and one["kind"] not in KUSTOMIZE_KINDS and not of_operator(one) and not is_patch(file):
            kubernetes_validate.validate(one, API_VERSION, strict=True)


def is_patch(file: Path) -> bool:
    patches = yaml.safe_load((file.parent / "kustomization.yaml").read_text()).get("patches", [])
    return any(one.get("path") == file.name for one in patches)


def test_a_pod_asks_for_nothing_that_the_restricted_standard_forbids(built: list[Document]) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, and a root that cannot be written."""
    for one in workloads(built):
        spec, only = pod(one), container(one)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10_001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers", "hostUsers"}
        assert all(
            volume.keys() - {"name"} <= {"configMap", "secret", "projected", "emptyDir"} for volume in spec["volumes"]
        )
        assert all("hostPort" not in port for port in only.get("ports", []))


def test_a_pod_has_no_token_and_no_variables_of_services(built: list[Document]) -> None:
    (account,) = named(built, "ServiceAccount").values()
    assert account["automountServiceAccountToken"] is False
    for one in workloads(built):
        assert pod(one)["serviceAccountName"] == account["metadata"]["name"]
        assert pod(one)["automountServiceAccountToken"] is False
        assert pod(one)["enableServiceLinks"] is False


def test_a_pod_has_a_bound_of_memory_and_none_of_processor_time(built: list[Document]) -> None:
    for one in workloads(built):
        resources = container(one)["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert resources["limits"].keys() == {"memory"}


def test_a_worker_may_take_what_its_alert_takes_for_granted(built: list[Document]) -> None:
    for one in named(built, "StatefulSet").values():
        assert container(one)["resources"]["limits"] == {"memory": f"{Site().memory_limit_bytes >> 30}Gi"}


def test_images_are_pinned(built: list[Document]) -> None:
    images = {container(one)["image"] for one in workloads(built)}

    assert images == {"registry.example.com/pegel:0.1.0"}


def test_every_variable_is_a_setting(built: list[Document]) -> None:
    known = {variable_of(path) for path, _ in setting_names()} | {CONFIG_VARIABLE, SECRETS_VARIABLE, "ROLE"}
    for one in workloads(built):
        names = [variable["name"] for variable in container(one)["env"]]
        assert set(names) <= known
        assert names[0] == "ROLE", "a variable is put in where it stands behind the one that it names"


def test_nothing_is_put_into_a_pod_twice(built: list[Document]) -> None:
    for one in workloads(built):
        only = container(one)
        for names in (
            [variable["name"] for variable in only["env"]],
            [mount["mountPath"] for mount in only["volumeMounts"]],
            [volume["name"] for volume in pod(one)["volumes"]],
        ):
            assert len(set(names)) == len(names)
        assert {mount["name"] for mount in only["volumeMounts"]} == {volume["name"] for volume in pod(one)["volumes"]}


def test_each_stage_has_workers_that_run_it_and_no_more_of_them_than_partitions(
    built: list[Document], settings: Settings
) -> None:
    sets = named(built, "StatefulSet")

    assert set(sets) == {f"pegel-{stage}" for stage in STAGES}
    for stage in STAGES:
        one = sets[f"pegel-{stage}"]
        assert role(one) == stage
        assert container(one)["args"] == ["worker", "$(ROLE)"]
        assert one["spec"].get("replicas", 1) <= settings.kafka.partitions
        assert one["spec"]["podManagementPolicy"] == "Parallel"
    for scaled in named(built, "ScaledObject").values():
        assert scaled["spec"]["maxReplicaCount"] <= settings.kafka.partitions
        assert "replicas" not in sets[scaled["spec"]["scaleTargetRef"]["name"]]["spec"]


def test_a_worker_is_known_to_its_group_by_the_name_of_its_pod(built: list[Document]) -> None:
    for one in named(built, "StatefulSet").values():
        variables = {variable["name"]: variable for variable in container(one)["env"]}
        source = variables[variable_of(("runtime", "instance_id"))]["valueFrom"]
        assert source == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_a_worker_has_time_to_leave_and_comes_back_before_its_partitions_move(
    built: list[Document], settings: Settings
) -> None:
    for one in named(built, "StatefulSet").values():
        grace_s = pod(one)["terminationGracePeriodSeconds"]
        assert grace_s > settings.runtime.shutdown_timeout_s
        assert grace_s * 1_000 <= settings.kafka.session_timeout_ms


def test_a_worker_that_loads_is_waited_for_and_one_that_hangs_ends_itself_first(
    built: list[Document], settings: Settings
) -> None:
    accounts = 100_000_000  # of one worker, which would need 90 GB
    for one in named(built, "StatefulSet").values():
        startup, living, ready = (container(one)[name] for name in ("startupProbe", "livenessProbe", "readinessProbe"))
        assert startup["httpGet"]["path"] == ready["httpGet"]["path"] == "/readyz"
        assert living["httpGet"]["path"] == "/livez"
        assert startup["periodSeconds"] * startup["failureThreshold"] > START_S + accounts / RECOVERY_ACCOUNTS_PER_S
        assert living["periodSeconds"] * living["failureThreshold"] > RuntimeSettings().stall_timeout_s
        assert living["periodSeconds"] * living["failureThreshold"] > settings.runtime.stall_timeout_s


def test_a_budget_a_service_and_a_spread_are_for_one_workload_each(built: list[Document]) -> None:
    running = [one for one in workloads(built) if one["kind"] != "Job"]
    for kind in ("PodDisruptionBudget", "Service"):
        for one in named(built, kind).values():
            selector = one["spec"]["selector"]
            selector = selector if kind == "PodDisruptionBudget" else {"matchLabels": selector}
            assert [two["metadata"]["name"] for two in running if selects(selector, two)] == [one["metadata"]["name"]]
    for name, one in named(built, "StatefulSet").items():
        assert named(built, "PodDisruptionBudget")[name]["spec"]["maxUnavailable"] == 1
        assert one["spec"]["serviceName"] in named(built, "Service")
        for spread in pod(one)["topologySpreadConstraints"]:
            assert [two["metadata"]["name"] for two in running if selects(spread["labelSelector"], two)] == [name]


def test_every_pod_is_shut_in_and_the_courier_alone_may_leave_the_cluster(built: list[Document]) -> None:
    policies = named(built, "NetworkPolicy").values()
    for one in workloads(built):
        mine = [policy["spec"] for policy in policies if selects(policy["spec"]["podSelector"], one)]
        assert any(p["policyTypes"] == ["Ingress", "Egress"] and not p.keys() & {"ingress", "egress"} for p in mine)
        blocks = [
            peer["ipBlock"]
            for p in mine
            for rule in p.get("egress", [])
            for peer in rule.get("to", [])
            if "ipBlock" in peer
        ]
        assert bool(blocks) is (role(one) == "courier")
        for block in blocks:
            private = ("10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
            assert set(private) <= set(block["except"]) or ":" in block["cidr"]


def test_every_dashboard_is_taken_to_grafana(built: list[Document]) -> None:
    maps = [
        one for one in named(built, "ConfigMap").values() if "grafana_dashboard" in one["metadata"].get("labels", {})
    ]
    there = {file.name for file in (KUBERNETES.parent / "grafana" / "dashboards").iterdir()}

    assert {name for one in maps for name in one["data"]} == (there if maps else set())
    assert bool(maps) is bool(named(built, "PodMonitor"))
    assert all(len(text) < 1 << 20 for one in maps for text in one["data"].values()), "a ConfigMap holds a megabyte"


def test_every_pod_that_has_metrics_is_asked_for_them(built: list[Document]) -> None:
    for monitor in named(built, "PodMonitor").values():
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        for one in workloads(built):
            if not container(one).get("ports"):
                assert role(one) in (Role.ADMINISTRATOR, Role.OPERATOR)
                continue
            assert selects(monitor["spec"]["selector"], one)
            assert endpoint["port"] in [port["name"] for port in container(one)["ports"]]


def test_secrets_are_files_and_of_principals_that_there_are(built: list[Document]) -> None:
    users = set(named(built, "KafkaUser")) or {f"pegel-{one}" for one in Role}
    for one in workloads(built):
        assert "secretKeyRef" not in str(container(one))
        assert "envFrom" not in container(one)
        volumes = [volume.get("projected") or volume.get("secret") for volume in pod(one)["volumes"]]
        files = [volume for volume in volumes if volume is not None]
        assert {volume["defaultMode"] for volume in files} == {0o440}
        sources = [source["secret"]["name"] for volume in files for source in volume.get("sources", [])]
        beside = {volume["secretName"] for volume in files if "secretName" in volume} - {"kafka-cluster-ca-cert"}
        assert sources[0] == f"pegel-{role(one)}"
        assert {sources[0]} | beside <= users
        assert set(sources[1:]) <= {"pegel-destinations", "pegel-links"}
        assert ("pegel-destinations" in sources) is (role(one) in ("router", "courier", "operator"))
        assert beside == ({"pegel-doctor", "pegel-dlq"} if role(one) == Role.OPERATOR else set())


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_the_workers_of_an_overlay_read_can_be_read(name: str) -> None:
    folder = KUBERNETES / "overlays" / name
    settings = load(folder / "pegel.yaml").settings

    load_catalog(at_hand(folder, settings.engagement.catalog))
    assert settings.notify.playbooks is not None
    assert load_playbooks(at_hand(folder, str(settings.notify.playbooks)), None).destinations


def at_hand(folder: Path, chosen: str) -> str:
    """The file that will be mounted, or a built-in's name."""
    return str(folder / Path(chosen).name) if chosen.startswith("/etc/pegel/") else chosen


def test_topics_and_principals_for_strimzi_are_those_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    folder = KUBERNETES / "overlays" / "production"
    assert run(["topics", "strimzi", "--config", str(folder / "pegel.yaml")]) == 0

    assert (folder / "topics.yaml").read_text() == capsys.readouterr().out, "out of date: make manifests"


def test_rules_for_the_prometheus_operator_are_those_that_are_tested() -> None:
    committed = (KUBERNETES / "components" / "monitoring" / "rules.yaml").read_text()
    assert committed == written(), "out of date: make manifests"
