"""CRMs behind a real courier, over real HTTP, in time that passes faster: what stands there in the end.

Random faults of every kind happen to requests, in an order that a seed gives. Whatever they were, each account's fields
say where it is now, and each task stands there once, in the order of the account's transitions.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import pytest

from schemas.action import ActionOutcome
from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.hubspot.config import HubspotConfig, HubspotTaskConfig
from streams.connectors.hubspot.connector import HUBSPOT
from streams.connectors.hubspot.tasks import HUBSPOT_TASK
from streams.connectors.message import Rendered
from streams.connectors.salesforce.config import SalesforceConfig, SalesforceTaskConfig
from streams.connectors.salesforce.connector import SALESFORCE
from streams.connectors.salesforce.tasks import SALESFORCE_TASK
from streams.notify.deliver.courier import Courier
from streams.notify.deliver.dispatch import Dispatch, Settled
from streams.notify.plan.delivery import Delivery
from tests.providers.faults import Fault, dropped, happening, html_page, status
from tests.providers.hubspot import TOKEN, HubspotApi
from tests.providers.salesforce import CLIENT_ID, CLIENT_SECRET, SalesforceApi
from tests.providers.server import Api, ProviderServer
from tests.unit.notify.world import NOW_MS, delivery, news

SPEED: Final = 50_000
FAULTS: Final = 30
SEGMENTS: Final = ("new", "established", "at_risk", "mature")


class FastClock:
    """A real clock, at so many times its speed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()

    def __call__(self) -> int:
        return NOW_MS + round((self._loop.time() - self._began_s) * SPEED * 1_000)

    def seconds(self) -> float:
        return self() / 1_000


class Ledger:
    """Stands for the stage: knows what is still open."""

    def __init__(self, open_: set[str]) -> None:
        self.open = open_
        self.delivered: list[str] = []
        self.given_up: list[str] = []
        self.done = asyncio.Event()

    def settled(self, settled: Settled, detail: str, ref: str | None) -> None:
        if not settled.verdict.final:
            return
        found = self.delivered if settled.verdict.outcome is ActionOutcome.DELIVERED else self.given_up
        found.append(settled.delivery.delivery_id)
        self.close(settled.delivery)

    def close(self, closed: Delivery) -> None:
        self.open.discard(closed.delivery_id)
        if not self.open:
            self.done.set()

    def thread_ref(self, _: Delivery) -> str | None:
        return None

    def edit_ref(self, _: Delivery) -> str | None:
        return None


async def delivered(
    kind: ConnectorType, config: Destination, deliveries: list[Delivery], clock: FastClock, server: ProviderServer
) -> Ledger:
    """Deliver all of them, a few at a time."""
    dispatch = Dispatch(config, batch_max=kind.batch_max, latest_wins=kind.latest_wins)
    courier = Courier(dispatch, kind.build(config), lambda one: Rendered(one.news.transition_id, ""), clock)
    ledger = courier.owner = Ledger({one.delivery_id for one in deliveries})
    courier.start()
    try:
        async with asyncio.timeout(60):
            for number, one in enumerate(deliveries):
                outdated = dispatch.offer(one, clock())
                if outdated is not None:
                    ledger.close(outdated)
                courier.wake()
                if number % 10 == 0:
                    await asyncio.sleep(0)
            while not ledger.done.is_set():
                # The courier would sleep for real seconds where this clock's are over at once.
                courier.wake()
                await asyncio.sleep(0.002)
    finally:
        await courier.stop()
    assert courier.failure is None
    return ledger


def told(accounts: int, changes: int) -> list[Delivery]:
    """Every account's changes, mixed as they come."""
    return [
        delivery(
            f"account-{account}",
            change + 1,
            news=news(f"account-{account}", change + 1, segment=SEGMENTS[change], group="lifecycle",
                      direction="moved", from_segment="x", entered_at="2026-03-01T00:00:00.000Z", dwell_seconds=1.0),
        )
        for change in range(changes)
        for account in range(accounts)
    ]  # fmt: skip


def faults(chance: random.Random, own: list[Fault]) -> list[Fault]:
    usual = [
        dropped(commit=True), dropped(commit=False), status(503), status(502, commit=True), html_page(),
        status(429, headers={"Retry-After": "2"}), status(200, b"{}", commit=True), *own, Fault(), Fault(),
    ]  # fmt: skip
    return [chance.choice(usual) for _ in range(FAULTS)]


def hubspot_access(server: ProviderServer) -> dict[str, Any]:
    return {"id": "team", "token": TOKEN, "url": server.url(), "allow_http": True, "timeout_s": 5.0, "give_up_h": 8_000}


def salesforce_access(server: ProviderServer) -> dict[str, Any]:
    return {"id": "team", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "url": server.url(),
            "allow_http": True, "timeout_s": 5.0, "give_up_h": 8_000}  # fmt: skip


def hubspot_fields(server: ProviderServer) -> Destination:
    properties = {"pegel_segment": "current", "name": "transition_id"}
    return HubspotConfig.model_validate({"type": "hubspot", "properties": properties} | hubspot_access(server))


def salesforce_fields(server: ProviderServer) -> Destination:
    properties = {"Pegel_Segment__c": "current", "Name": "transition_id"}
    return SalesforceConfig.model_validate({"type": "salesforce", "properties": properties} | salesforce_access(server))


def hubspot_tasks(server: ProviderServer) -> Destination:
    return HubspotTaskConfig.model_validate({"type": "hubspot_task"} | hubspot_access(server))


def salesforce_tasks(server: ProviderServer) -> Destination:
    return SalesforceTaskConfig.model_validate({"type": "salesforce_task"} | salesforce_access(server))


def subjects(things: list[dict[str, Any]], name: str) -> dict[str, list[str]]:
    """Each account's tasks, in the order in which they were made: `t-account-7-2` is the seventh's second."""
    found: dict[str, list[str]] = defaultdict(list)
    for thing in things:
        account, _, change = thing[name].removeprefix("t-").rpartition("-")
        found[account].append(change)
    return found


async def run(
    kind: ConnectorType,
    api: Api,
    config: Callable[[ProviderServer], Destination],
    route: str,
    happens: list[Fault],
    deliveries: list[Delivery],
) -> tuple[Ledger, int]:
    clock = FastClock()
    async with ProviderServer(api) as server:
        server.script(route, *happens)
        ledger = await delivered(kind, config(server), deliveries, clock, server)
        return ledger, len(server.asked(route))


@pytest.mark.parametrize("seed", range(4))
async def test_hubspots_fields_say_where_each_account_is_now(seed: int) -> None:
    chance = random.Random(seed)
    hubspot = HubspotApi(lambda: asyncio.get_running_loop().time() * SPEED)
    contested = {f"account-{n}": ("CONFLICT", "m") for n in chance.sample(range(60), 5)}
    own = [
        status(423),
        happening(lambda: hubspot.contested.update(contested)),
        happening(hubspot.contested.clear),
        happening(lambda: hubspot.ignored.update({"account-1", "account-2"})),
        happening(hubspot.ignored.clear),
        happening(lambda: setattr(hubspot, "unnamed_errors", not hubspot.unnamed_errors)),
    ]
    happens = [*faults(chance, own), happening(hubspot.contested.clear), happening(hubspot.ignored.clear)]
    deliveries = told(60, 4)
    ledger, requests = await run(HUBSPOT, hubspot, hubspot_fields, "companies.upsert", happens, deliveries)
    assert ledger.given_up == []
    states = {each.properties["pegel_account_id"]: each.properties for each in hubspot.companies.values()}
    assert set(states) == {f"account-{n}" for n in range(60)}
    assert {each["pegel_segment"] for each in states.values()} == {SEGMENTS[3]}
    assert all(each["name"] == f"t-{account}-4" for account, each in states.items())
    assert requests < len(deliveries)


@pytest.mark.parametrize("seed", range(4))
async def test_salesforces_fields_say_where_each_account_is_now(seed: int) -> None:
    chance = random.Random(seed)
    salesforce = SalesforceApi()
    own = [
        happening(salesforce.expire),
        happening(lambda: salesforce.locked.update({"account-1", "account-7"})),
        happening(salesforce.locked.clear),
        status(403, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"m"}]'),
    ]
    happens = [*faults(chance, own), happening(salesforce.locked.clear)]
    deliveries = told(60, 4)
    ledger, requests = await run(SALESFORCE, salesforce, salesforce_fields, "collection", happens, deliveries)
    assert ledger.given_up == []
    records = salesforce.kinds["Account"].records.values()
    assert {each["Pegel_Account_Id__c"]: each["Pegel_Segment__c"] for each in records} == {
        f"account-{n}": SEGMENTS[3] for n in range(60)
    }
    assert len(records) == 60
    assert requests < len(deliveries)


@pytest.mark.parametrize("seed", range(4))
async def test_hubspots_tasks_stand_there_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    hubspot = HubspotApi(lambda: asyncio.get_running_loop().time() * SPEED)
    hubspot.requests_max = 300
    happens = faults(chance, [status(423), status(504, commit=True), status(500)])
    ledger, _ = await run(HUBSPOT_TASK, hubspot, hubspot_tasks, "tasks.create", happens, told(12, 3))
    assert ledger.given_up == []
    found = subjects([task.properties for task in hubspot.tasks.values()], "hs_task_subject")
    assert found == {f"account-{n}": ["1", "2", "3"] for n in range(12)}


@pytest.mark.parametrize("seed", range(4))
async def test_salesforces_tasks_stand_there_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    salesforce = SalesforceApi()
    salesforce.knows_everybody = True
    happens = faults(chance, [happening(salesforce.expire), status(500)])
    ledger, _ = await run(SALESFORCE_TASK, salesforce, salesforce_tasks, "upsert", happens, told(12, 3))
    assert ledger.given_up == []
    assert subjects(salesforce.tasks, "Subject") == {f"account-{n}": ["1", "2", "3"] for n in range(12)}
