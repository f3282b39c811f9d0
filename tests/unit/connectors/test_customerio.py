"""What is Customer.io's own: objects, ids of events, partial batches, limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.connectors.customerio.config import CustomerioConfig, CustomerioEventConfig
from streams.connectors.customerio.connector import CustomerioConnector
from streams.connectors.customerio.events import CustomerioEventConnector
from streams.connectors.customerio.ulid import ALPHABET, ulid_of
from streams.connectors.message import Message, MessageKind, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind
from tests.providers.customerio import API_KEY, SITE_ID, ULID, CustomerioApi
from tests.providers.faults import dropped, status
from tests.providers.server import ProviderServer
from tests.unit.connectors.kit import DELIVERY_ID, message

K = OutcomeKind
ACCESS = {"id": "cio", "site_id": SITE_ID, "api_key": API_KEY, "allow_http": True}
PROPERTIES = {"pegel_segment": "current", "pegel_at_risk": "member", "stage": "=trial"}


@asynccontextmanager
async def attributes(api: CustomerioApi, **more: Any) -> AsyncIterator[tuple[CustomerioConnector, ProviderServer]]:
    async with ProviderServer(api) as server:
        given = ACCESS | {"type": "customerio", "url": server.url(), "properties": PROPERTIES}
        connector = CustomerioConnector(CustomerioConfig.model_validate(given | more))
        try:
            yield connector, server
        finally:
            await connector.close()


@asynccontextmanager
async def events(api: CustomerioApi, **more: Any) -> AsyncIterator[tuple[CustomerioEventConnector, ProviderServer]]:
    async with ProviderServer(api) as server:
        given = ACCESS | {"type": "customerio_event", "url": server.url()}
        connector = CustomerioEventConnector(CustomerioEventConfig.model_validate(given | more))
        try:
            yield connector, server
        finally:
            await connector.close()


def batch(count: int) -> list[Message]:
    return [message(account=f"a-{n}", delivery_id=f"d-{n}") for n in range(count)]


def kinds(outcomes: list[Outcome]) -> list[OutcomeKind]:
    return [outcome.kind for outcome in outcomes]


async def test_an_account_is_an_object_whose_attributes_are_written_and_cleared() -> None:
    api = CustomerioApi()
    gone = {**message().transition, "direction": "exited"}
    async with attributes(api) as (connector, _):
        assert (await connector.deliver(message())).kind is K.OK
        assert api.objects == {"acme": {"pegel_segment": "at_risk", "pegel_at_risk": True, "stage": "trial"}}
        await connector.deliver(replace(message(), transition=gone, items=(gone,)))
    assert api.objects == {"acme": {"pegel_segment": "", "pegel_at_risk": False, "stage": "trial"}}


async def test_of_a_partial_batch_each_message_has_its_own_outcome() -> None:
    api = CustomerioApi()
    api.bad = {"a-2"}
    async with attributes(api) as (connector, server):
        outcomes = await connector.deliver_batch(batch(5))
        assert len(server.asked("batch")) == 1
    assert kinds(outcomes) == [K.OK, K.OK, K.REJECTED, K.OK, K.OK]
    assert outcomes[2].detail == "207 invalid"


async def test_errors_that_name_no_entry_are_found_out_by_smaller_requests() -> None:
    api = CustomerioApi()
    api.bad, api.unnamed_errors = {"a-6"}, True
    async with attributes(api) as (connector, server):
        outcomes = await connector.deliver_batch(batch(10))
        server.script("batch", status(207, b'{"errors":[{"batch_index":99,"reason":"invalid"}]}'))
        beyond = await connector.deliver(message())
    assert [n for n, outcome in enumerate(outcomes) if outcome.kind is not K.OK] == [6]
    assert beyond.kind is K.REJECTED


async def test_requests_stay_within_the_limits_and_what_fits_none_is_rejected() -> None:
    api = CustomerioApi()
    long = {f"p{n}": f"={'x' * 900}" for n in range(30)}
    async with attributes(api, properties=long) as (connector, server):
        assert kinds(await connector.deliver_batch(batch(40))) == [K.OK] * 40
        sizes = [len(ask.body) for ask in server.asked("batch")]
        assert len(sizes) == 3
        assert max(sizes) <= 500_000
    beyond = {f"p{n}": f"={'x' * 999}" for n in range(40)}
    async with attributes(api, properties=beyond) as (connector, server):
        outcome = await connector.deliver(message())
        assert not server.seen
    assert (outcome.kind, outcome.detail) == (K.REJECTED, "record_too_large")


async def test_an_event_is_of_the_accounts_person_and_kept_once_whatever_is_lost() -> None:
    api = CustomerioApi()
    async with events(api, event="at_risk", properties={"score": "=5"}) as (connector, server):
        server.script("batch", dropped(commit=True))
        lost = await connector.deliver(message())
        again = await connector.deliver(message(2, after_ambiguous=True))
    assert (lost.kind, again.kind, api.repeats) == (K.AMBIGUOUS, K.OK, 1)
    [event] = api.events
    assert (event.name, event.person, event.timestamp) == (
        "at_risk", {"email": "anna@customer-success.example"}, 1_772_368_498,
    )  # fmt: skip
    assert event.attributes == {
        "account_id": "acme", "accounts": ["acme"], "segment": "at_risk", "direction": "entered", "from_segment": None,
        "play": "save", "title": "acme: at risk", "text": "*acme* is at risk", "delivery_id": DELIVERY_ID, "score": 5,
    }  # fmt: skip


async def test_an_account_without_a_person_has_no_event() -> None:
    api = CustomerioApi()
    messages = [message(), replace(message(delivery_id="d-2"), facts={}), message(delivery_id="d-3")]
    async with events(api, person="fact.owner", person_by="id") as (connector, _):
        outcomes = await connector.deliver_batch(messages)
        rows = ({"account_id": "acme"}, {"account_id": "globex"})
        listed = message(kind=MessageKind.LIST, items=rows, delivery_id="d-4")
        assert (await connector.deliver(listed)).kind is K.OK
    assert [(outcome.kind, outcome.detail) for outcome in outcomes] == [
        (K.OK, ""), (K.REJECTED, "person_unknown"), (K.OK, ""),
    ]  # fmt: skip
    assert [event.person for event in api.events] == [{"id": "anna"}] * 3
    assert api.events[-1].attributes["accounts"] == ["acme", "globex"]


async def test_long_words_keep_no_event_from_being_sent() -> None:
    api = CustomerioApi()
    async with events(api) as (connector, _):
        told = replace(message(), rendered=Rendered("t" * 10_000, "ü" * 100_000))
        assert (await connector.deliver(told)).kind is K.OK


async def test_a_test_sends_nothing_and_says_whether_the_key_is_good() -> None:
    api = CustomerioApi()
    async with events(api) as (connector, server):
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.OK
        server.script("region", status(200, b"<html>"), status(503), dropped(commit=True))
        found = kinds([await connector.deliver(message(kind=MessageKind.TEST)) for _ in range(3)])
        assert found == [K.RETRY_DESTINATION, K.RETRY_DESTINATION, K.AMBIGUOUS]
        api.keys.clear()
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.AUTH
        assert (await connector.deliver(message())).kind is K.AUTH
    assert not api.events


async def test_a_batch_with_a_test_in_it() -> None:
    api = CustomerioApi()
    async with attributes(api) as (connector, _):
        outcomes = await connector.deliver_batch([message(kind=MessageKind.TEST), message(account="globex")])
    assert (kinds(outcomes), list(api.objects)) == ([K.OK, K.OK], ["globex"])


@settings(max_examples=200)
@given(st.uuids(), st.integers(0, (1 << 48) - 1))
def test_a_ulid_is_a_function_of_the_delivery_and_sorts_by_time(delivery: Any, time_ms: int) -> None:
    ulid = ulid_of(str(delivery), time_ms)
    assert ULID.match(ulid)
    assert ulid == ulid_of(str(delivery), time_ms)
    assert ulid != ulid_of(str(delivery) + "x", time_ms)
    assert sum(ALPHABET.index(c) << 5 * place for place, c in enumerate(reversed(ulid))) >> 80 == time_ms


def test_the_specifications_example_time_is_encoded_as_it_says() -> None:
    assert ulid_of("d", 1_469_918_176_385).startswith("01ARYZ6S41")


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"properties": {}}, "at least 1"), ({"properties": {"object_id": "segment"}}, "Customer.io's own"),
        ({"object_type_id": "companies"}, "object_type_id"), ({"site_id": "a b"}, "one word"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_work_is_refused(given_: dict[str, Any], said: str) -> None:
    base = ACCESS | {"type": "customerio", "properties": PROPERTIES}
    CustomerioConfig.model_validate(base)
    with pytest.raises(ValidationError, match=said):
        CustomerioConfig.model_validate(base | given_)


@pytest.mark.parametrize("person", ["owner_email", "fact.", "account_id", "=x"])
def test_a_person_is_known_by_a_trait(person: str) -> None:
    with pytest.raises(ValidationError, match="person"):
        CustomerioEventConfig.model_validate(ACCESS | {"type": "customerio_event", "person": person})
