"""What the tests of deployment files share: reading them, building overlays, and finding pods in them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from tests.toolchains import missing

ROOT: Final = Path(__file__).parents[3]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
KUSTOMIZE_KINDS: Final = ("Kustomization", "Component")

Document = dict[str, Any]


def documents(text: str) -> list[Document]:
    return [one for one in yaml.safe_load_all(text) if one is not None]


def build(folder: Path) -> list[Document]:
    """What kustomize makes of a folder. Without the tool the test is skipped, but for CI."""
    if kustomize := shutil.which("kustomize"):
        command = [kustomize, "build", str(folder)]
    elif kubectl := shutil.which("kubectl"):
        command = [kubectl, "kustomize", str(folder)]
    else:
        missing("neither kustomize nor kubectl is on the PATH; install one")
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    return documents(run.stdout)


def workloads(built: list[Document]) -> Iterator[Document]:
    """Pegel's own, and nothing that an operator makes."""
    for one in built:
        if one["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield one


def pod(workload: Document) -> Document:
    spec: Document = workload["spec"]["template"]["spec"]
    return spec


def container(workload: Document) -> Document:
    (only,) = pod(workload)["containers"]
    assert isinstance(only, dict)
    return only


def labels(workload: Document) -> dict[str, str]:
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def role(workload: Document) -> str:
    return labels(workload)["app.kubernetes.io/component"]


def selects(selector: Document, workload: Document) -> bool:
    """A label selector that only uses `matchLabels`; an empty one selects everything."""
    assert selector.keys() <= {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= labels(workload).items())
