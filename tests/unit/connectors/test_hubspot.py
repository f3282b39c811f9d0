"""What is HubSpot's own: partial batches, silence, limits, properties, tasks."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from streams.connectors.http import Answer
from streams.connectors.hubspot.answers import WORDS, failure_of
from streams.connectors.hubspot.config import HubspotConfig, HubspotTaskConfig
from streams.connectors.hubspot.connector import HubspotConnector
from streams.connectors.hubspot.limits import headers_wait_s, midnight_wait_s
from streams.connectors.hubspot.payload import marker_of, text_of
from streams.connectors.hubspot.tasks import HubspotTaskConnector
from streams.connectors.message import Link, Message, MessageKind, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind, Scope
from streams.connectors.preparing import Did
from tests.providers.clock import ManualClock
from tests.providers.faults import dropped, status
from tests.providers.hubspot import TOKEN, HubspotApi, Property, Thing
from tests.providers.server import ProviderServer
from tests.unit.connectors.kit import NOW_MS, message

K = OutcomeKind
UTC = ZoneInfo("UTC")
PROPERTIES = {"pegel_segment": "current", "pegel_since": "effective_at"}


@asynccontextmanager
async def fields(hubspot: HubspotApi, **more: Any) -> AsyncIterator[tuple[HubspotConnector, ProviderServer]]:
    async with ProviderServer(hubspot) as server:
        given = {"id": "crm", "type": "hubspot", "token": TOKEN, "url": server.url(), "allow_http": True,
                 "properties": PROPERTIES, "api_version": hubspot.version}  # fmt: skip
        connector = HubspotConnector(HubspotConfig.model_validate(given | more))
        try:
            yield connector, server
        finally:
            await connector.close()


@asynccontextmanager
async def tasks(hubspot: HubspotApi, **more: Any) -> AsyncIterator[tuple[HubspotTaskConnector, ProviderServer]]:
    async with ProviderServer(hubspot) as server:
        given = {"id": "crm", "type": "hubspot_task", "token": TOKEN, "url": server.url(), "allow_http": True,
                 "api_version": hubspot.version}  # fmt: skip
        connector = HubspotTaskConnector(HubspotTaskConfig.model_validate(given | more))
        try:
            yield connector, server
        finally:
            await connector.close()


def batch(count: int) -> list[Message]:
    return [message(account=f"a-{n}", delivery_id=f"d-{n}") for n in range(count)]


def kinds(outcomes: list[Outcome]) -> list[OutcomeKind]:
    return [outcome.kind for outcome in outcomes]


# -- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2026-03", "v3"])
async def test_companies_are_found_by_the_unique_property_and_made_where_there_are_none(version: str) -> None:
    hubspot = HubspotApi(version=version)
    async with fields(hubspot) as (connector, _):
        first = await connector.deliver(message())
        second = await connector.deliver(message(delivery_id="d-2"))
    assert (first.kind, first.ref) == (K.OK, second.ref)
    assert list(hubspot.companies) == [first.ref]
    assert hubspot.company("acme") == {
        "pegel_account_id": "acme", "pegel_segment": "at_risk", "pegel_since": "2026-03-01T12:34:58.000Z",
    }  # fmt: skip


async def test_an_exit_clears_the_property() -> None:
    hubspot = HubspotApi()
    async with fields(hubspot) as (connector, _):
        await connector.deliver(message())
        gone = {**message().transition, "direction": "exited"}
        await connector.deliver(Message("d-2", 1, NOW_MS, "save", gone, Rendered("t", ""), items=(gone,)))
    company = hubspot.company("acme")
    assert company is not None
    assert company["pegel_segment"] == ""


async def test_a_hundred_go_in_one_request_and_more_in_several() -> None:
    hubspot = HubspotApi()
    async with fields(hubspot) as (connector, server):
        assert kinds(await connector.deliver_batch(batch(100))) == [K.OK] * 100
        assert len(server.asked("companies.upsert")) == 1
        assert kinds(await connector.deliver_batch(batch(101))) == [K.OK] * 101
        assert len(server.asked("companies.upsert")) == 3
    assert len(hubspot.companies) == 101


@pytest.mark.parametrize("echoes_traces", [True, False])
async def test_of_a_partial_batch_each_message_has_its_own_outcome(*, echoes_traces: bool) -> None:
    hubspot = HubspotApi()
    hubspot.echoes_traces = echoes_traces
    hubspot.contested = {"a-1": ("VALIDATION_ERROR", "bad"), "a-3": ("CONFLICT", "written by another")}
    async with fields(hubspot) as (connector, server):
        outcomes = await connector.deliver_batch(batch(5))
        assert len(server.asked("companies.upsert")) == 1
    assert kinds(outcomes) == [K.OK, K.REJECTED, K.OK, K.RETRY_RECORD, K.OK]
    assert [outcome.detail for outcome in outcomes] == ["", "207 validation_error", "", "207 conflict", ""]
    assert hubspot.company("a-1") is None


async def test_errors_that_name_no_input_are_found_out_by_smaller_requests() -> None:
    hubspot = HubspotApi()
    hubspot.unnamed_errors = True
    hubspot.contested = {"a-6": ("VALIDATION_ERROR", "bad")}
    async with fields(hubspot) as (connector, server):
        outcomes = await connector.deliver_batch(batch(10))
        assert len(server.asked("companies.upsert")) <= 9
    assert [n for n, outcome in enumerate(outcomes) if outcome.kind is not K.OK] == [6]
    assert outcomes[6].kind is K.REJECTED


async def test_one_bad_value_keeps_no_other_company_from_being_written() -> None:
    hubspot = HubspotApi()
    hubspot.properties["pegel_segment"] = Property(options=("at_risk",))
    messages = batch(20)
    odd = {**messages[13].transition, "segment": "unheard_of"}
    messages[13] = Message("d-13", 1, NOW_MS, "save", odd, Rendered("t", ""), items=(odd,))
    async with fields(hubspot) as (connector, server):
        outcomes = await connector.deliver_batch(messages)
        assert len(server.asked("companies.upsert")) <= 11
    assert [n for n, outcome in enumerate(outcomes) if outcome.kind is not K.OK] == [13]
    assert (outcomes[13].kind, outcomes[13].detail) == (K.REJECTED, "400 invalid_option")
    assert len(hubspot.companies) == 19


async def test_silence_is_no_success() -> None:
    hubspot = HubspotApi()
    hubspot.ignored = {"a-0", "a-1", "a-2"}
    async with fields(hubspot) as (connector, _):
        some = await connector.deliver_batch(batch(4))
        none = await connector.deliver_batch(batch(3))
    assert kinds(some) == [K.RETRY_RECORD] * 3 + [K.OK]
    assert [(outcome.kind, outcome.detail) for outcome in none] == [(K.RETRY_DESTINATION, "silent_no_op")] * 3


async def test_a_property_that_is_missing_waits_for_somebody_and_costs_one_request() -> None:
    hubspot = HubspotApi()
    del hubspot.properties["pegel_since"]
    async with fields(hubspot) as (connector, server):
        outcomes = await connector.deliver_batch(batch(50))
        assert len(server.asked("companies.upsert")) == 1
        steps = await connector.prepare([], [], NOW_MS)
        assert [(step.name, step.did) for step in steps] == [
            ("pegel_account_id", Did.EXISTS), ("pegel_segment", Did.EXISTS), ("pegel_since", Did.CREATED),
        ]  # fmt: skip
        again = await connector.deliver_batch(batch(50))
    assert {(outcome.kind, outcome.detail) for outcome in outcomes} == {(K.AUTH, "400 property_doesnt_exist")}
    assert kinds(again) == [K.OK] * 50


async def test_properties_are_made_for_every_segment_with_their_types() -> None:
    hubspot = HubspotApi()
    del hubspot.properties["pegel_account_id"]
    properties = {"in_{segment}": "member", "now_{group}": "current", "steps": "sequence", "since": "effective_at"}
    async with fields(hubspot, properties=properties) as (connector, _):
        missing = await connector.deliver(message(kind=MessageKind.TEST, items=()))
        await connector.prepare(["power_account", "expiring"], ["lifecycle"], NOW_MS)
        there = await connector.deliver(message(kind=MessageKind.TEST))
        assert not hubspot.companies
        moved = {"direction": "moved", "from_segment": "new", "group": "lifecycle", "sequence": 8}
        for change in (moved, {"segment": "expiring", "direction": "exited"}):
            told = {**message().transition, **change}
            assert (await connector.deliver(replace(message(), transition=told, items=(told,)))).kind is K.OK
    made = {name: (each.type, each.unique) for name, each in hubspot.properties.items()}
    assert made["in_power_account"] == made["in_expiring"] == ("bool", False)
    assert made["pegel_account_id"] == ("string", True)
    assert (made["now_lifecycle"], made["steps"], made["since"]) == (
        ("string", False), ("number", False), ("datetime", False),
    )  # fmt: skip
    assert (missing.kind, missing.detail, there.kind) == (K.AUTH, "property_missing", K.OK)
    company = hubspot.company("acme")
    assert company is not None
    assert (company["in_expiring"], company["now_lifecycle"]) == ("false", "at_risk")


async def test_a_test_writes_nothing_and_says_what_is_wrong() -> None:
    hubspot = HubspotApi()
    hubspot.properties["pegel_account_id"] = Property(unique=False)
    async with fields(hubspot) as (connector, _):
        found = await connector.deliver(message(kind=MessageKind.TEST, items=()))
        steps = await connector.prepare([], [], NOW_MS)
        written = await connector.deliver(message())
        hubspot.tokens.clear()
        refused = await connector.prepare([], [], NOW_MS)
    assert (found.kind, found.detail) == (K.AUTH, "property_not_unique")
    assert (written.kind, written.detail) == (K.AUTH, "400 property_not_unique")
    assert steps[0].did is Did.FAILED
    assert "values are not unique" in steps[0].advice
    assert "does not accept the token" in refused[0].advice
    assert not hubspot.companies


async def test_what_may_not_be_made_is_said_kindly() -> None:
    hubspot = HubspotApi()
    hubspot.scopes.clear()
    async with fields(hubspot) as (connector, _):
        [step] = await connector.prepare([], [], NOW_MS)
    assert "crm.schemas.companies.write" in step.advice
    async with fields(hubspot, api_version="2031-01") as (connector, _):
        [step] = await connector.prepare([], [], NOW_MS)
        outcome = await connector.deliver(message())
    assert "api_version" in step.advice
    assert (outcome.kind, outcome.detail) == (K.AUTH, "404")


# -- limits -----------------------------------------------------------------------------------------------------------


def failed(code: int, body: dict[str, Any], headers: dict[str, str] | None = None, zone: ZoneInfo = UTC) -> Outcome:
    return failure_of(Answer(code, json.dumps(body).encode(), headers or {}), NOW_MS, zone)


@pytest.mark.parametrize(
    ("policy", "zone", "seconds"),
    [
        ("SECONDLY", "UTC", 1.0), ("TEN_SECONDLY_ROLLING", "UTC", 10.0),
        ("DAILY", "UTC", 41_102.0), ("DAILY", "Europe/Berlin", 37_502.0), ("DAILY", "America/New_York", 59_102.0),
    ],
)  # fmt: skip
def test_a_limit_lasts_as_long_as_its_policy_says(policy: str, zone: str, seconds: float) -> None:
    outcome = failed(429, {"errorType": "RATE_LIMIT", "policyName": policy}, zone=ZoneInfo(zone))
    assert (outcome.kind, outcome.scope, outcome.after_s) == (K.THROTTLED, Scope.DESTINATION, seconds)


def test_retry_after_comes_before_the_policy_and_headers_after_it() -> None:
    assert failed(429, {"policyName": "DAILY"}, {"Retry-After": "3"}).after_s == 3.0
    left = {"X-HubSpot-RateLimit-Remaining": "0", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
    assert failed(429, {}, left).after_s == 10.0
    assert failed(429, {}).after_s is None


def test_a_day_ends_at_the_accounts_midnight_also_when_clocks_change() -> None:
    evening = 1_774_735_200_000  # 2026-03-28T22:00:00Z, 23:00 in Berlin; the clocks go forward that night
    assert midnight_wait_s(evening, ZoneInfo("Europe/Berlin")) == 3_600.0
    assert midnight_wait_s(evening + 3_600_000, ZoneInfo("Europe/Berlin")) == 23 * 3_600.0
    assert headers_wait_s({"X-HubSpot-RateLimit-Daily-Remaining": "0"}, evening, UTC) == 7_200.0
    assert headers_wait_s({"X-HubSpot-RateLimit-Remaining": "-1x"}, evening, UTC) is None


def test_locks_and_migrations_wait() -> None:
    assert (failed(423, {}).after_s, failed(423, {}).scope) == (2.0, Scope.ACCOUNT)
    assert failed(423, {}, {"Retry-After": "1"}).after_s == 2.0
    assert (failed(477, {}, {"Retry-After": "90"}).after_s, failed(477, {}).after_s) == (90.0, 600.0)
    assert [failed(code, {}).kind for code in (502, 503, 504, 524)] == [K.RETRY_DESTINATION] * 4


def test_words_decide_and_unknown_ones_do_not_show() -> None:
    assert failed(403, {"category": "MISSING_SCOPES"}) == Outcome(K.AUTH, "403 missing_scopes")
    assert (
        failed(400, {"category": "VALIDATION_ERROR", "errors": [{"code": "INVALID_DATE"}]}).detail == "400 invalid_date"
    )
    assert failed(400, {"category": "secret-word"}) == Outcome(K.REJECTED, "400")
    assert failed(500, {"category": "VALIDATION_ERROR"}) == Outcome(K.RETRY_DESTINATION, "500")
    assert all(kind in {K.AUTH, K.REJECTED, K.RETRY_RECORD} for kind in WORDS.values())


async def test_no_request_is_sent_that_the_last_answer_has_refused() -> None:
    hubspot = HubspotApi(ManualClock(NOW_MS / 1_000))
    hubspot.requests_max = 2
    async with fields(hubspot) as (connector, server):
        await connector.deliver(message())
        assert (await connector.deliver(message())).kind is K.OK
        early = await connector.deliver(message(4_000))
        assert (early.kind, early.detail, early.scope) == (K.THROTTLED, "allowance_used_up", Scope.DESTINATION)
        assert early.after_s == pytest.approx(10.0, abs=5.0)
        assert len(server.seen) == 2
        hubspot.clock.advance(11.0)  # type: ignore[attr-defined]
        assert (await connector.deliver(message(12_000))).kind is K.OK


# -- tasks ------------------------------------------------------------------------------------------------------------


async def test_a_task_is_about_its_company_and_says_what_to_do() -> None:
    hubspot = HubspotApi()
    links = (Link("Open <it>", "https://crm.example/a?b=1&c=2"), Link("no", "javascript:alert(1)"))
    words = Rendered("acme: at risk", "call <b>Anna</b>\nsoon", links)
    told = replace(message(owner="4711"), rendered=words)
    async with tasks(hubspot, due_h=12, priority="HIGH", task_type="CALL") as (connector, _):
        outcome = await connector.deliver(told)
    [task] = hubspot.tasks.values()
    [company] = hubspot.companies.values()
    assert (outcome.kind, outcome.ref, task.companies) == (K.OK, task.id, [company.id])
    assert task.properties == {
        "hs_timestamp": "2026-03-02T00:34:58.000Z",
        "hs_task_subject": "acme: at risk",
        "hs_task_body": "call &lt;b&gt;Anna&lt;/b&gt;<br>soon<br>"
        '<a href="https://crm.example/a?b=1&amp;c=2">Open &lt;it&gt;</a><br>' + marker_of(told.delivery_id),
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "HIGH",
        "hs_task_type": "CALL",
        "hubspot_owner_id": "4711",
    }


@pytest.mark.parametrize("fault", [dropped(commit=True), status(504, commit=True), status(201, b"<html>", commit=True)])
@pytest.mark.parametrize("version", ["2026-03", "v3"])
async def test_a_task_that_may_have_been_made_is_looked_for_and_not_made_again(fault: Any, version: str) -> None:
    hubspot = HubspotApi(version=version)
    async with tasks(hubspot) as (connector, server):
        await connector.deliver(message(delivery_id="another"))
        server.script("tasks.create", fault)
        lost = await connector.deliver(message())
        found = await connector.deliver(message(2, after_ambiguous=True))
        assert len(server.asked("tasks.create")) == 2
    assert (lost.kind, found.kind) == (K.AMBIGUOUS, K.OK)
    assert len(hubspot.tasks) == 2
    assert found.ref in hubspot.tasks


async def test_a_task_that_was_not_made_is_made_after_looking() -> None:
    hubspot = HubspotApi()
    async with tasks(hubspot) as (connector, server):
        server.script("tasks.create", dropped(commit=False))
        lost = await connector.deliver(message())
        made = await connector.deliver(message(2, after_ambiguous=True))
    assert (lost.kind, made.kind, len(hubspot.tasks)) == (K.AMBIGUOUS, K.OK, 1)


async def test_a_task_is_not_made_while_it_cannot_be_looked_for() -> None:
    hubspot = HubspotApi()
    async with tasks(hubspot) as (connector, server):
        await connector.deliver(message(delivery_id="another"))
        for route in ("tasks.of", "tasks.read"):
            server.script(route, status(503), dropped(commit=False), status(200, b"<html>"))
            for kind in (K.RETRY_DESTINATION, K.RETRY_DESTINATION, K.RETRY_DESTINATION):
                assert (await connector.deliver(message(2, after_ambiguous=True))).kind is kind
    assert len(hubspot.tasks) == 1


async def test_words_of_any_length_keep_no_task_from_being_made() -> None:
    hubspot = HubspotApi()
    links = tuple(Link("more", f"https://crm.example/{n}?{'&' * 2_900}") for n in range(5))
    words = Rendered("t" * 1_000, '"' * 20_000, links)
    async with tasks(hubspot) as (connector, _):
        assert (await connector.deliver(replace(message(), rendered=words))).kind is K.OK
    [task] = hubspot.tasks.values()
    assert task.properties["hs_task_body"].endswith(marker_of(message().delivery_id))


async def test_only_the_newest_tasks_of_a_company_are_read() -> None:
    hubspot = HubspotApi()
    hubspot._next_id = 9_900  # a longer number is a newer one
    async with tasks(hubspot) as (connector, server):
        for n in range(130):
            await connector.deliver(message(delivery_id=f"d-{n}"))
        found = await connector.deliver(message(delivery_id="d-110", after_ambiguous=True))
        [read] = server.asked("tasks.read")
        assert len(read.json()["inputs"]) == 100
    assert (found.kind, len(hubspot.tasks)) == (K.OK, 130)


async def test_a_task_is_found_among_thousands_of_others_and_looking_has_an_end() -> None:
    hubspot = HubspotApi()
    async with tasks(hubspot) as (connector, server):
        first = await connector.deliver(message())
        [made] = hubspot.tasks.values()
        older = {str(n): Thing(str(n), {"hs_task_body": "x"}, list(made.companies)) for n in range(1, 900)}
        hubspot.tasks = {**older, made.id: made}
        found = await connector.deliver(message(2, after_ambiguous=True))
        assert (found.ref, len(server.asked("tasks.of"))) == (first.ref, 2)
        hubspot.tasks |= {str(n): Thing(str(n), {}, list(made.companies)) for n in range(2_000, 8_000)}
        await connector.deliver(message(3, after_ambiguous=True))
        assert len(server.asked("tasks.of")) == 2 + 10


async def test_what_goes_wrong_before_the_task_is_sent_leaves_nothing_unknown() -> None:
    hubspot = HubspotApi()
    async with tasks(hubspot) as (connector, server):
        server.script("companies.upsert", dropped(commit=True), status(429), status(401))
        outcomes = [await connector.deliver(message()) for _ in range(3)]
        assert kinds(outcomes) == [K.RETRY_DESTINATION, K.THROTTLED, K.AUTH]
        assert not server.asked("tasks.create")


async def test_a_digest_is_one_task_about_all_its_companies() -> None:
    hubspot = HubspotApi()
    items = tuple({**message().transition, "account_id": account} for account in ("acme", "globex", "acme"))
    async with tasks(hubspot, owner_id="12") as (connector, _):
        told = message(items=items, kind=MessageKind.DIGEST, owner="anna@customer-success.example")
        assert (await connector.deliver(told)).kind is K.OK
    [task] = hubspot.tasks.values()
    assert task.companies == list(hubspot.companies)
    assert task.properties["hubspot_owner_id"] == "12"


async def test_a_list_or_a_message_about_nobody() -> None:
    hubspot = HubspotApi()
    rows = tuple({"account_id": account} for account in ("acme", "globex"))
    listed = Message("d", 1, NOW_MS, "morning", rows[0], Rendered("3 trials", ""), kind=MessageKind.LIST, items=rows)
    async with tasks(hubspot) as (connector, _):
        assert (await connector.deliver(listed)).kind is K.OK
        nobody = await connector.deliver(Message("d", 1, NOW_MS, "p", {}, Rendered("t", "")))
        tested = await connector.deliver(message(kind=MessageKind.TEST, items=()))
    assert (nobody.kind, nobody.detail, tested.kind) == (K.REJECTED, "no_transition", K.OK)
    assert len(hubspot.tasks) == 1


# -- config -----------------------------------------------------------------------------------------------------------


def test_values_are_texts() -> None:
    assert [text_of(value) for value in (None, True, False, 3, 2.5, "x")] == ["", "true", "false", "3", "2.5", "x"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"properties": {}}, "at least 1"), ({"properties": {"Pegel": "segment"}}, "no name of a property"),
        ({"properties": {"pegel_account_id": "segment"}}, "leave it out"), ({"timezone": "Mars/Olympus"}, "time zone"),
        ({"properties": {"p": "segmnt"}}, "did you mean segment"), ({"api_version": "../x"}, "api_version"),
        ({"account": "segment"}, "account_id or by a trait"), ({"token": "a b"}, "one word"),
        ({"token": ""}, "one word"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    base = {"id": "crm", "type": "hubspot", "token": TOKEN, "properties": PROPERTIES}
    assert HubspotConfig.model_validate(base).url == "https://api.hubapi.com"
    with pytest.raises(ValidationError, match=said):
        HubspotConfig.model_validate(base | given)


def test_the_line_end_of_a_secret_file_is_no_part_of_the_token() -> None:
    config = HubspotTaskConfig.model_validate({"id": "c", "type": "hubspot_task", "token": f" {TOKEN}\n"})
    assert config.token.get_secret_value() == TOKEN
