"""Customer.io: attributes of accounts, and events of people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.playbook import Destination
from streams.connectors.customerio.config import CustomerioConfig, CustomerioEventConfig
from streams.connectors.customerio.connector import CUSTOMERIO
from streams.connectors.customerio.events import CUSTOMERIO_EVENT
from tests.providers.clock import ManualClock
from tests.providers.customerio import API_KEY, SITE_ID, CustomerioApi
from tests.providers.server import Ask, ProviderServer
from tests.unit.connectors.kit import DELIVERY_ID, HTTP_CASES, STATUSES, Case, HttpLaws, K, Kit, Rig
from tests.unit.connectors.kits.scripted import ScriptedRig


class AttributesRig(ScriptedRig):
    route = "batch"

    def __init__(self, api: CustomerioApi, server: ProviderServer) -> None:
        super().__init__(server, ManualClock())
        self.api = api

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return CustomerioConfig.model_validate(
            {"type": "customerio", "properties": {"segment": "current"}} | _access(url, timeout_s, allow_http)
        )

    def landed(self) -> list[str]:
        return list(self.api.objects)


class EventRig(AttributesRig):
    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        given = {"type": "customerio_event", "person": "fact.owner", "person_by": "id"}
        return CustomerioEventConfig.model_validate(given | _access(url, timeout_s, allow_http))

    def landed(self) -> list[str]:
        return [event.attributes["delivery_id"] for event in self.api.events]


def _access(url: str, timeout_s: float, allow_http: bool) -> dict[str, Any]:  # noqa: FBT001 - a field's value
    return {
        "id": "cio", "site_id": SITE_ID, "api_key": API_KEY, "url": url, "timeout_s": timeout_s,
        "allow_http": allow_http,
    }  # fmt: skip


def _bad_account(rig: Rig, account: str) -> None:
    assert isinstance(rig, AttributesRig)
    rig.api.bad.add(account)


def _bad_event(rig: Rig, account: str) -> None:
    assert isinstance(rig, EventRig)
    rig.api.bad_accounts.add(account)


def _of_account(ask: Ask) -> str:
    """A state needs no id: written twice it is the same."""
    return DELIVERY_ID if ask.json()["batch"][0]["identifiers"]["object_id"] == "acme" else ""


def _of_event(ask: Ask) -> str:
    return str(ask.json()["batch"][0]["attributes"]["delivery_id"])


@asynccontextmanager
async def attributes_rig(_: Path) -> AsyncIterator[AttributesRig]:
    api = CustomerioApi()
    async with ProviderServer(api) as server:
        yield AttributesRig(api, server)


@asynccontextmanager
async def event_rig(_: Path) -> AsyncIterator[EventRig]:
    api = CustomerioApi()
    async with ProviderServer(api) as server:
        yield EventRig(api, server)


CASES = HTTP_CASES - {Case.VANISHED}
OWN = STATUSES | {204: K.OK, 404: K.AUTH, 410: K.AUTH}
HUNDREDS = {2: K.AMBIGUOUS, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION}

CUSTOMERIO_KIT = Kit(
    CUSTOMERIO,
    attributes_rig,
    CASES,
    secrets=(API_KEY,),
    gives_ref=False,
    test_lands=False,
    poison=_bad_account,
    http=HttpLaws("batch", "", OWN, HUNDREDS, _of_account, keeps_connections=True),
)
CUSTOMERIO_EVENT_KIT = Kit(
    CUSTOMERIO_EVENT,
    event_rig,
    CASES,
    secrets=(API_KEY,),
    gives_ref=False,
    test_lands=False,
    poison=_bad_event,
    http=HttpLaws("batch", "", OWN, HUNDREDS, _of_event, keeps_connections=True),
)
