"""Salesforce: fields of accounts, and tasks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.playbook import Destination
from streams.connectors.outcome import Scope
from streams.connectors.salesforce.config import SalesforceConfig, SalesforceTaskConfig
from streams.connectors.salesforce.connector import SALESFORCE
from streams.connectors.salesforce.tasks import SALESFORCE_TASK
from tests.providers.clock import ManualClock
from tests.providers.faults import status
from tests.providers.salesforce import CLIENT_ID, CLIENT_SECRET, SalesforceApi
from tests.providers.server import Ask, ProviderServer
from tests.unit.connectors.kit import DELIVERY_ID, HTTP_CASES, STATUSES, Case, HttpLaws, K, Kit, Rig
from tests.unit.connectors.kits.scripted import ScriptedRig

ENDED = status(401, b'[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]')
FAULTS = {
    Case.TOO_FAST: status(403, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"m"}]'),
    Case.REFUSED: status(400, b'[{"errorCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","message":"m"}]'),
    Case.UNAUTHORIZED: ENDED,
}


class FieldsRig(ScriptedRig):
    route = "collection"
    faults = FAULTS

    def __init__(self, api: SalesforceApi, server: ProviderServer) -> None:
        super().__init__(server, ManualClock())
        self.api = api

    def meet(self, case: Case) -> None:
        super().meet(case)
        if case is Case.UNAUTHORIZED:
            # Once is a session that ended; the second time the new one is refused as well.
            super().meet(case)

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        properties = {"Name": "account_id", "Pegel_Segment__c": "current"}
        return SalesforceConfig.model_validate(
            {"type": "salesforce", "properties": properties} | _access(url, timeout_s, allow_http)
        )

    def landed(self) -> list[str]:
        return [account["Pegel_Account_Id__c"] for account in self.api.kinds["Account"].records.values()]


class TaskRig(FieldsRig):
    route = "upsert"

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return SalesforceTaskConfig.model_validate({"type": "salesforce_task"} | _access(url, timeout_s, allow_http))

    def landed(self) -> list[str]:
        return [task["Pegel_Delivery_Id__c"] for task in self.api.tasks]


def _access(url: str, timeout_s: float, allow_http: bool) -> dict[str, Any]:  # noqa: FBT001 - a field's value
    return {
        "id": "crm", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "url": url, "timeout_s": timeout_s,
        "allow_http": allow_http,
    }  # fmt: skip


def _poison(rig: Rig, account: str) -> None:
    assert isinstance(rig, FieldsRig)
    rig.api.duplicates.add(account)


def _of_account(ask: Ask) -> str:
    """A state needs no id: written twice it is the same."""
    return DELIVERY_ID if ask.json()["records"][0]["Pegel_Account_Id__c"] == "acme" else ""


@asynccontextmanager
async def fields_rig(_: Path) -> AsyncIterator[FieldsRig]:
    api = SalesforceApi()
    async with ProviderServer(api) as server:
        yield FieldsRig(api, server)


@asynccontextmanager
async def task_rig(_: Path) -> AsyncIterator[TaskRig]:
    api = SalesforceApi()
    api.knows_everybody = True
    async with ProviderServer(api) as server:
        yield TaskRig(api, server)


CASES = HTTP_CASES - {Case.VANISHED}
# A 401 ends a session, and the next one is good.
OWN = STATUSES | {300: K.REJECTED, 401: K.OK, 404: K.AUTH, 410: K.AUTH}
HUNDREDS = {2: K.AMBIGUOUS, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION}

SALESFORCE_KIT = Kit(
    SALESFORCE,
    fields_rig,
    CASES,
    secrets=(CLIENT_SECRET, CLIENT_ID),
    test_lands=False,
    throttle=(Scope.DESTINATION, None),
    poison=_poison,
    http=HttpLaws("collection", "", OWN, HUNDREDS, _of_account, keeps_connections=True),
)
SALESFORCE_TASK_KIT = Kit(
    SALESFORCE_TASK,
    task_rig,
    CASES,
    secrets=(CLIENT_SECRET, CLIENT_ID),
    test_lands=False,
    throttle=(Scope.DESTINATION, None),
    http=HttpLaws("upsert", "", OWN, HUNDREDS, lambda ask: ask.params["value"], keeps_connections=True),
)
