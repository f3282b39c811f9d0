"""What is Salesforce's own: sessions, collections, codes, tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from streams.connectors.http import Answer
from streams.connectors.message import Link, Message, MessageKind, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind, Scope
from streams.connectors.salesforce.answers import CODES, allowance_wait_s, each_of, failure_of, one_of
from streams.connectors.salesforce.config import SalesforceConfig, SalesforceTaskConfig
from streams.connectors.salesforce.connector import SalesforceConnector
from streams.connectors.salesforce.tasks import SalesforceTaskConnector
from tests.providers.faults import dropped, happening, late, status
from tests.providers.salesforce import CLIENT_ID, CLIENT_SECRET, SalesforceApi
from tests.providers.server import ProviderServer
from tests.unit.connectors.kit import NOW_MS, message

K = OutcomeKind
ACCESS = {"id": "crm", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "allow_http": True}
PROPERTIES = {"Name": "fact.name", "Pegel_Segment__c": "current", "Pegel_At_Risk__c": "member"}


@asynccontextmanager
async def fields(salesforce: SalesforceApi, **more: Any) -> AsyncIterator[tuple[SalesforceConnector, ProviderServer]]:
    async with ProviderServer(salesforce) as server:
        given = ACCESS | {"type": "salesforce", "url": server.url(), "properties": PROPERTIES}
        connector = SalesforceConnector(SalesforceConfig.model_validate(given | more))
        try:
            yield connector, server
        finally:
            await connector.close()


@asynccontextmanager
async def tasks(
    salesforce: SalesforceApi, **more: Any
) -> AsyncIterator[tuple[SalesforceTaskConnector, ProviderServer]]:
    async with ProviderServer(salesforce) as server:
        given = ACCESS | {"type": "salesforce_task", "url": server.url()}
        connector = SalesforceTaskConnector(SalesforceTaskConfig.model_validate(given | more))
        try:
            yield connector, server
        finally:
            await connector.close()


def batch(count: int) -> list[Message]:
    return [message(account=f"a-{n}", delivery_id=f"d-{n}") for n in range(count)]


def kinds(outcomes: list[Outcome]) -> list[OutcomeKind]:
    return [outcome.kind for outcome in outcomes]


# -- fields -----------------------------------------------------------------------------------------------------------


async def test_accounts_are_found_by_the_external_id_and_made_where_there_are_none() -> None:
    salesforce = SalesforceApi()
    known = salesforce.add("acme")
    async with fields(salesforce) as (connector, server):
        outcomes = await connector.deliver_batch([message(), message(account="globex", delivery_id="d-2")])
        assert len(server.asked("collection")) == 1
    assert kinds(outcomes) == [K.OK, K.OK]
    assert outcomes[0].ref == known
    assert salesforce.account("acme") == {
        "Pegel_Account_Id__c": "acme", "Name": "Acme Inc.", "Pegel_Segment__c": "at_risk", "Pegel_At_Risk__c": True,
    }  # fmt: skip
    assert salesforce.account("globex") is not None


async def test_an_exit_clears_the_field() -> None:
    salesforce = SalesforceApi()
    gone = {**message().transition, "direction": "exited"}
    async with fields(salesforce) as (connector, _):
        await connector.deliver(message())
        await connector.deliver(replace(message(), transition=gone, items=(gone,)))
    account = salesforce.account("acme")
    assert account is not None
    assert (account["Pegel_Segment__c"], account["Pegel_At_Risk__c"]) == (None, False)


async def test_two_hundred_go_in_one_request_and_more_in_several() -> None:
    salesforce = SalesforceApi()
    async with fields(salesforce) as (connector, server):
        assert kinds(await connector.deliver_batch(batch(201))) == [K.OK] * 201
        assert [len(ask.json()["records"]) for ask in server.asked("collection")] == [200, 1]
        assert all(ask.json()["allOrNone"] is False for ask in server.asked("collection"))


async def test_a_failure_of_the_destination_ends_a_delivery_of_several_requests() -> None:
    async with fields(SalesforceApi()) as (connector, server):
        server.script("collection", status(503))
        assert kinds(await connector.deliver_batch(batch(450))) == [K.RETRY_DESTINATION] * 450
        assert len(server.asked("collection")) == 1


async def test_each_record_has_its_own_outcome() -> None:
    salesforce = SalesforceApi()
    salesforce.locked, salesforce.duplicates = {"a-1"}, {"a-2"}
    salesforce.add("a-3"), salesforce.add("a-3")
    messages = [*batch(4), replace(message(account="a-4"), facts={})]
    async with fields(salesforce) as (connector, _):
        outcomes = await connector.deliver_batch(messages)
    assert [(outcome.kind, outcome.detail) for outcome in outcomes] == [
        (K.OK, ""),
        (K.RETRY_RECORD, "unable_to_lock_row"),
        (K.REJECTED, "duplicates_detected"),
        (K.REJECTED, "duplicate_external_id"),
        (K.REJECTED, "required_field_missing"),
    ]


async def test_a_field_that_is_missing_waits_for_somebody() -> None:
    salesforce = SalesforceApi()
    salesforce.kinds["Account"].fields.remove("Pegel_Segment__c")
    async with fields(salesforce) as (connector, _):
        outcomes = await connector.deliver_batch(batch(3))
        salesforce.kinds["Account"].external_ids.clear()
        without = await connector.deliver(message())
        tested = await connector.deliver(message(kind=MessageKind.TEST))
    assert {(outcome.kind, outcome.detail) for outcome in outcomes} == {(K.AUTH, "invalid_field")}
    assert (without.kind, without.detail) == (K.AUTH, "404 not_found")
    assert (tested.kind, tested.detail) == (K.AUTH, "external_id_field_missing")


async def test_a_test_writes_nothing() -> None:
    salesforce = SalesforceApi()
    async with fields(salesforce) as (connector, _):
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.OK
        salesforce.add("pegel-test"), salesforce.add("pegel-test")
        assert (await connector.deliver(message(kind=MessageKind.TEST))).detail == "300 several_records"
    assert salesforce.account("acme") is None


async def test_an_answer_that_is_not_one_for_each_record_tells_nothing() -> None:
    assert each_of(Answer(200, b'[{"success":true}]'), 2) is None
    assert each_of(Answer(200, b"<html>"), 1) is None
    assert each_of(Answer(200, b"[{}]"), 1) is None
    assert one_of(Answer(200, b"{}")) is None
    async with fields(SalesforceApi()) as (connector, server):
        server.script("collection", status(200, b'[{"success":true}]', commit=True))
        assert kinds(await connector.deliver_batch(batch(2))) == [K.AMBIGUOUS] * 2


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_one_token_serves_all_until_the_session_ends() -> None:
    salesforce = SalesforceApi()
    async with fields(salesforce) as (connector, server):
        for _ in range(3):
            assert (await connector.deliver(message())).kind is K.OK
        assert salesforce.granted == 1
        salesforce.expire()
        assert (await connector.deliver(message())).kind is K.OK
        assert (salesforce.granted, len(server.asked("collection"))) == (2, 5)


async def test_many_that_find_the_session_ended_renew_it_once() -> None:
    salesforce = SalesforceApi()
    async with fields(salesforce, in_flight_max=16) as (connector, server):
        await connector.deliver(message())
        salesforce.expire()
        outcomes = await asyncio.gather(*(connector.deliver(message(account=f"a-{n}")) for n in range(12)))
    assert kinds(outcomes) == [K.OK] * 12
    assert salesforce.granted == 2
    assert len(server.asked("token")) == 2


async def test_a_session_that_ends_at_once_again_is_not_asked_for_for_ever() -> None:
    salesforce = SalesforceApi()
    async with fields(salesforce) as (connector, server):
        server.always["collection"] = happening(salesforce.expire)
        outcome = await connector.deliver(message())
    assert (outcome.kind, outcome.detail) == (K.AUTH, "401 invalid_session_id")
    assert (len(server.asked("token")), len(server.asked("collection"))) == (2, 2)


@pytest.mark.parametrize(
    ("fault", "kind", "detail"),
    [
        (status(400, b'{"error":"invalid_client"}'), K.AUTH, "token 400 invalid_client"),
        (status(400, b'{"error":"inactive_user"}'), K.AUTH, "token 400 inactive_user"),
        (status(400, b'{"error":"very-secret-token"}'), K.AUTH, "token 400"),
        (status(404), K.AUTH, "token 404"),
        (status(400, b'{"error":"rate_limit_exceeded"}'), K.THROTTLED, "token 400 rate_limit_exceeded"),
        (status(503, b'{"error":"invalid_client"}'), K.RETRY_DESTINATION, "token 503 invalid_client"),
        (status(302, headers={"Location": "https://elsewhere.invalid"}), K.RETRY_DESTINATION, "token 302"),
        (status(200, b"<html>"), K.RETRY_DESTINATION, "token unreadable_answer"),
        (status(200, b'{"access_token":"a\\nb"}'), K.RETRY_DESTINATION, "token unreadable_answer"),
        (dropped(commit=True), K.RETRY_DESTINATION, "disconnected"),
        (late(0.8, commit=True), K.RETRY_DESTINATION, "timed_out"),
    ],
)
async def test_without_a_token_nothing_is_sent_and_nothing_is_thrown_away(fault: Any, kind: K, detail: str) -> None:
    salesforce = SalesforceApi()
    async with fields(salesforce, timeout_s=0.4) as (connector, server):
        server.script("token", fault)
        outcome = await connector.deliver(message())
        assert (outcome.kind, outcome.detail) == (kind, detail)
        assert not server.asked("collection")


# -- codes ------------------------------------------------------------------------------------------------------------


def failed(code: int, word: str = "", headers: dict[str, str] | None = None) -> Outcome:
    return failure_of(Answer(code, f'[{{"errorCode":"{word}","message":"m"}}]'.encode(), headers or {}), NOW_MS)


def test_codes_decide_and_unknown_ones_do_not_show() -> None:
    assert failed(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION") == Outcome(
        K.REJECTED, "400 field_custom_validation_exception"
    )
    assert failed(400, "SOME_SECRET") == Outcome(K.REJECTED, "400")
    assert failed(403, "SOME_SECRET") == Outcome(K.AUTH, "403")
    assert failed(500, "UNABLE_TO_LOCK_ROW").kind is K.RETRY_DESTINATION
    assert failed(300, "") == Outcome(K.REJECTED, "300 several_records")
    assert {CODES[code] for code in ("DUPLICATES_DETECTED", "DUPLICATE_EXTERNAL_ID")} == {K.REJECTED}
    assert CODES["UNABLE_TO_LOCK_ROW"] is K.RETRY_RECORD


def test_a_days_allowance_that_is_used_up_is_waited_for() -> None:
    used_up = failed(403, "REQUEST_LIMIT_EXCEEDED", {"Sforce-Limit-Info": "api-usage=5000/5000"})
    assert (used_up.kind, used_up.scope, used_up.after_s) == (K.THROTTLED, Scope.DESTINATION, 900.0)
    at_once = failed(403, "REQUEST_LIMIT_EXCEEDED", {"Sforce-Limit-Info": "api-usage=18/5000"})
    assert (at_once.kind, at_once.after_s) == (K.THROTTLED, None)
    assert allowance_wait_s({"Sforce-Limit-Info": "api-usage=6000/5000; per-app-api-usage=1/2(appName=x)"}) == 900.0
    assert allowance_wait_s({}) is None


async def test_a_limit_of_the_whole_organisation_throttles_the_destination() -> None:
    salesforce = SalesforceApi()
    salesforce.usage = (15_000, 15_000)
    async with fields(salesforce) as (connector, server):
        outcomes = await connector.deliver_batch(batch(3))
        assert len(server.asked("collection")) == 1
    assert [(outcome.kind, outcome.after_s) for outcome in outcomes] == [(K.THROTTLED, 900.0)] * 3


# -- tasks ------------------------------------------------------------------------------------------------------------


async def test_a_task_is_about_its_account_and_is_made_once_whatever_is_lost() -> None:
    salesforce = SalesforceApi()
    known = salesforce.add("acme")
    words = Rendered("acme: at risk", "call Anna", (Link("Open", "https://crm.example/a"),))
    told = replace(message(owner="005000000000001AAA"), rendered=words)
    async with tasks(salesforce, due_days=3, priority="High") as (connector, server):
        server.script("upsert", dropped(commit=True))
        lost = await connector.deliver(told)
        again = await connector.deliver(replace(told, attempt=2, after_ambiguous=True))
    assert (lost.kind, again.kind) == (K.AMBIGUOUS, K.OK)
    assert salesforce.tasks == [
        {
            "Pegel_Delivery_Id__c": told.delivery_id, "Subject": "acme: at risk", "WhatId": known,
            "Description": "call Anna\nOpen: https://crm.example/a", "ActivityDate": "2026-03-04",
            "Priority": "High", "Status": "Not Started", "OwnerId": "005000000000001AAA",
        }
    ]  # fmt: skip


async def test_a_task_about_an_account_that_is_not_there_waits_for_it() -> None:
    salesforce = SalesforceApi()
    async with tasks(salesforce) as (connector, _):
        early = await connector.deliver(message())
        salesforce.add("acme")
        assert (await connector.deliver(message())).kind is K.OK
        salesforce.add("acme")
        several = await connector.deliver(message(delivery_id="d-2"))
        salesforce.kinds["Account"].external_ids.clear()
        without = await connector.deliver(message(delivery_id="d-2"))
    assert (early.kind, early.detail) == (K.RETRY_RECORD, "account_not_in_salesforce")
    assert (several.kind, several.detail) == (K.REJECTED, "300 several_records")
    assert (without.kind, without.detail) == (K.AUTH, "external_id_field_missing")


async def test_what_goes_wrong_before_the_task_is_sent_leaves_nothing_unknown() -> None:
    salesforce = SalesforceApi()
    salesforce.add("acme")
    async with tasks(salesforce) as (connector, server):
        server.script("read", dropped(commit=True), status(503), status(200, b"<html>"), status(404))
        outcomes = [await connector.deliver(message()) for _ in range(4)]
        assert kinds(outcomes) == [K.RETRY_DESTINATION, K.RETRY_DESTINATION, K.RETRY_DESTINATION, K.AUTH]
        assert not server.asked("upsert")


async def test_a_digest_is_one_task_about_no_single_account() -> None:
    salesforce = SalesforceApi()
    items = tuple({**message().transition, "account_id": account} for account in ("acme", "globex"))
    async with tasks(salesforce, owner_id="005000000000002") as (connector, _):
        told = message(items=items, kind=MessageKind.DIGEST, owner="anna")
        assert (await connector.deliver(told)).kind is K.OK
        assert (await connector.deliver(Message("d", 1, NOW_MS, "p", {}, Rendered("t", "")))).detail == "no_transition"
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.OK
    [task] = salesforce.tasks
    assert "WhatId" not in task
    assert task["OwnerId"] == "005000000000002"


async def test_an_account_that_would_lead_elsewhere_leads_nowhere() -> None:
    salesforce = SalesforceApi()
    salesforce.add("a/../b?c=d#e")
    async with tasks(salesforce) as (connector, _):
        assert (await connector.deliver(message(account="a/../b?c=d#e"))).detail == "path_refused"
        salesforce.add("ac me/ü?")
        assert (await connector.deliver(message(account="ac me/ü?"))).kind is K.OK


# -- config -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"properties": {}}, "at least 1"), ({"properties": {"Pegel-X": "segment"}}, "no name of a property"),
        ({"properties": {"pegel_account_id__C": "segment"}}, "leave them out"),
        ({"properties": {"Id": "segment"}}, "leave them out"), ({"api_version": "62"}, "api_version"),
        ({"external_id": "a/b"}, "external_id"), ({"client_secret": "a b"}, "one word"),
        ({"url": "http://acme.my.salesforce.com"}, "not allowed|https"), ({"object": "Account/../x"}, "object"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    base = ACCESS | {"type": "salesforce", "url": "https://acme.my.salesforce.com", "properties": PROPERTIES,
                     "allow_http": False}  # fmt: skip
    SalesforceConfig.model_validate(base)
    with pytest.raises(ValidationError, match=said):
        SalesforceConfig.model_validate(base | given)
