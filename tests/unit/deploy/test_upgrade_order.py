"""What docs/operations.md says of an upgrade on Kubernetes finds the resources that it means."""

import re
from typing import Final

import pytest

from streams.security.roles import STAGES
from tests.unit.deploy.manifests import KUBERNETES, ROOT, Document, build

COMPONENT: Final = "app.kubernetes.io/component"
PAGE: Final = (ROOT / "docs" / "operations.md").read_text()


def labels(one: Document) -> dict[str, str]:
    found: dict[str, str] = one["metadata"].get("labels") or {}
    return found


@pytest.mark.parametrize("name", ["dev", "production"])
def test_settings_and_topics_belong_to_no_stage_and_each_stage_is_replaced_by_its_own_label(name: str) -> None:
    assert f"--selector '!{COMPONENT}'" in PAGE
    assert f"--selector {COMPONENT}=$stage" in PAGE
    (order,) = {*re.findall(r"for stage in ([\w ]+);", PAGE)}
    built = build(KUBERNETES / "overlays" / name)
    first = {one["kind"] for one in built if COMPONENT not in labels(one)}
    assert {"ConfigMap", "ServiceAccount"} <= first
    assert "StatefulSet" not in first
    by_stage = {
        stage: [one["metadata"]["name"] for one in built
                if one["kind"] == "StatefulSet" and labels(one).get(COMPONENT) == stage]
        for stage in order.split()
    }  # fmt: skip
    assert by_stage == {str(stage): [f"pegel-{stage}"] for stage in order.split()}
    assert {*by_stage} == {*map(str, STAGES)}
