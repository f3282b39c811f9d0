"""HubSpot: fields of companies, and tasks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.playbook import Destination
from streams.connectors.hubspot.config import HubspotConfig, HubspotTaskConfig
from streams.connectors.hubspot.connector import HUBSPOT
from streams.connectors.hubspot.tasks import HUBSPOT_TASK
from tests.providers.clock import ManualClock
from tests.providers.faults import status
from tests.providers.hubspot import TOKEN, HubspotApi
from tests.providers.server import Ask, ProviderServer
from tests.unit.connectors.kit import HTTP_CASES, STATUSES, Case, HttpLaws, K, Kit, Rig
from tests.unit.connectors.kits.scripted import ScriptedRig

FAULTS = {
    Case.REFUSED: status(400, b'{"status":"error","category":"VALIDATION_ERROR","message":"m"}'),
    Case.UNAUTHORIZED: status(403, b'{"status":"error","category":"MISSING_SCOPES"}'),
}


class FieldsRig(ScriptedRig):
    route = "companies.upsert"
    faults = FAULTS

    def __init__(self, api: HubspotApi, clock: ManualClock, server: ProviderServer) -> None:
        super().__init__(server, clock)
        self.api = api

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return HubspotConfig.model_validate(
            {"type": "hubspot", "properties": {"pegel_segment": "current"}} | _access(url, timeout_s, allow_http)
        )

    def landed(self) -> list[str]:
        return [company.properties["pegel_account_id"] for company in self.api.companies.values()]


class TaskRig(FieldsRig):
    route = "tasks.create"

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return HubspotTaskConfig.model_validate({"type": "hubspot_task"} | _access(url, timeout_s, allow_http))

    def landed(self) -> list[str]:
        return [_marked(task.properties["hs_task_body"]) for task in self.api.tasks.values()]


def _access(url: str, timeout_s: float, allow_http: bool) -> dict[str, Any]:  # noqa: FBT001 - a field's value
    return {"id": "crm", "token": TOKEN, "url": url, "timeout_s": timeout_s, "allow_http": allow_http}


def _marked(body: str) -> str:
    return body.rpartition("[pegel ")[2].removesuffix("]")


def _poison(rig: Rig, account: str) -> None:
    assert isinstance(rig, FieldsRig)
    rig.api.contested[account] = ("VALIDATION_ERROR", "bad")


def _traced(ask: Ask) -> str:
    return str(ask.json()["inputs"][0]["objectWriteTraceId"]).partition(":")[0]


def _in_body(ask: Ask) -> str:
    return _marked(ask.json()["properties"]["hs_task_body"])


@asynccontextmanager
async def fields_rig(_: Path) -> AsyncIterator[FieldsRig]:
    clock = ManualClock()
    api = HubspotApi(clock)
    async with ProviderServer(api) as server:
        yield FieldsRig(api, clock, server)


@asynccontextmanager
async def task_rig(_: Path) -> AsyncIterator[TaskRig]:
    clock = ManualClock()
    api = HubspotApi(clock)
    async with ProviderServer(api) as server:
        yield TaskRig(api, clock, server)


CASES = HTTP_CASES - {Case.VANISHED}
OWN = STATUSES | {404: K.AUTH, 410: K.AUTH, 423: K.THROTTLED, 477: K.THROTTLED}

HUBSPOT_KIT = Kit(
    HUBSPOT,
    fields_rig,
    CASES,
    secrets=(TOKEN,),
    test_lands=False,
    poison=_poison,
    http=HttpLaws(
        "companies.upsert",
        "",
        OWN,
        {2: K.AMBIGUOUS, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION},
        _traced,
        keeps_connections=True,
    ),
)
HUBSPOT_TASK_KIT = Kit(
    HUBSPOT_TASK,
    task_rig,
    CASES,
    secrets=(TOKEN,),
    test_lands=False,
    http=HttpLaws(
        "tasks.create",
        "",
        OWN | dict.fromkeys((500, 502, 504, 524), K.AMBIGUOUS),
        {2: K.AMBIGUOUS, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION},
        _in_body,
        keeps_connections=True,
    ),
)
