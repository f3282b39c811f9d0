"""`pegel destination test` and `prepare`, against HubSpot on loopback."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.catalog import Catalog
from schemas.playbook import Play
from streams.catalogs import load_catalog
from streams.cli.destination import app
from streams.notify.playbooks.needs import segments_needed
from tests.providers.hubspot import TOKEN, HubspotApi, Property
from tests.providers.server import ProviderServer

PLAYBOOK = """
format: 1
name: acme
destinations:
  - id: crm
    type: hubspot
    token: ${HUBSPOT_TOKEN}
    url: URL
    allow_http: true
    properties: {"pegel_in_{segment}": member, "pegel_{group}": current}
  - {id: console, type: console}
templates:
  plain: {title: "{{ account }}"}
plays:
  - {id: lists, segments: [power_account, expansion_ready], template: plain, destination: crm}
  - {id: stage, group: lifecycle, template: plain, destination: crm}
  - {id: shown, segment: new_trial, template: plain, destination: console}
"""


async def pegel(server: ProviderServer, tmp_path: Path, *arguments: str, token: str = TOKEN) -> Result:
    path = tmp_path / "playbook.yaml"
    path.write_text(PLAYBOOK.replace("URL", server.url()))
    env = {"HUBSPOT_TOKEN": token, "PEGEL_NOTIFY__PLAYBOOKS": str(path)}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=env)


async def test_what_is_missing_is_made_for_the_segments_that_are_told_of(tmp_path: Path) -> None:
    hubspot = HubspotApi()
    del hubspot.properties["pegel_account_id"]
    async with ProviderServer(hubspot) as server:
        before = await pegel(server, tmp_path, "test", "crm")
        made = await pegel(server, tmp_path, "prepare", "crm")
        again = await pegel(server, tmp_path, "prepare", "crm", "--json")
        after = await pegel(server, tmp_path, "test", "crm")
    assert (before.exit_code, before.stdout) == (1, "crm: auth (property_missing)\n")
    assert (made.exit_code, made.stdout.splitlines()) == (0, [
        "pegel_account_id  created",
        "pegel_in_power_account  created",
        "pegel_in_expansion_ready  created",
        "pegel_lifecycle  created",
    ])  # fmt: skip
    assert {json.loads(line)["did"] for line in again.stdout.splitlines()} == {"exists"}
    assert after.stdout == "crm: ok\n"
    assert hubspot.properties["pegel_account_id"].unique


async def test_what_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    hubspot = HubspotApi()
    hubspot.properties["pegel_account_id"] = Property(unique=False)
    async with ProviderServer(hubspot) as server:
        refused = await pegel(server, tmp_path, "prepare", "crm")
        unknown = await pegel(server, tmp_path, "prepare", "crm", token="wrong")
        nothing = await pegel(server, tmp_path, "prepare", "console")
    assert refused.exit_code == unknown.exit_code == 1
    assert "name another one as id_property" in refused.stdout
    assert "does not accept the token" in unknown.stdout
    assert "nothing that Pegel could make" in str(nothing.exception)
    assert TOKEN not in refused.output + unknown.output


def test_fields_are_for_what_the_destinations_own_plays_tell(default: Catalog) -> None:
    told: dict[str, dict[str, object]] = {
        "one": {"segment": "power_account"},
        "off": {"segment": "new_trial", "enabled": False},
        "group": {"group": "nps"},
        "in-group": {"segment": "at_risk"},
    }
    base = {"template": "t", "destination": "crm"}
    plays = [Play.model_validate({"id": name, **base, **more}) for name, more in told.items()]
    assert segments_needed(plays, default, "crm") == (["power_account"], ["lifecycle", "nps"])
    assert segments_needed(plays, default, "other") == ([], [])
    everything = [Play.model_validate({"id": "all", "template": "t", "destination": "crm", "segment": "*"})]
    segments, groups = segments_needed(everything, default, "crm")
    assert {"power_account", "new_trial"} <= set(segments)
    assert "at_risk" not in segments
    assert groups == ["lifecycle", "nps"]


@pytest.fixture(scope="module")
def default() -> Catalog:
    return load_catalog("default")
