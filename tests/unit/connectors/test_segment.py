"""What is the tracking API's own: calls, message ids, limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from streams.connectors.message import Message, MessageKind, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind
from streams.connectors.segment.config import SegmentConfig
from streams.connectors.segment.connector import SegmentConnector
from tests.providers.faults import dropped, status
from tests.providers.server import ProviderServer
from tests.providers.tracking import WRITE_KEY, TrackingApi
from tests.unit.connectors.kit import DELIVERY_ID, NOW_MS, message

K = OutcomeKind
ACCESS = {"id": "cdp", "type": "segment", "write_key": WRITE_KEY, "allow_http": True}
ALL = {"calls": ["track", "group", "identify"], "user": "fact.owner", "properties": {"pegel_segment": "current"}}


@asynccontextmanager
async def calls(api: TrackingApi, **more: Any) -> AsyncIterator[tuple[SegmentConnector, ProviderServer]]:
    async with ProviderServer(api) as server:
        connector = SegmentConnector(SegmentConfig.model_validate(ACCESS | {"url": server.url()} | more))
        try:
            yield connector, server
        finally:
            await connector.close()


def batch(count: int) -> list[Message]:
    return [message(account=f"a-{n}", delivery_id=f"d-{n}") for n in range(count)]


def kinds(outcomes: list[Outcome]) -> list[OutcomeKind]:
    return [outcome.kind for outcome in outcomes]


@pytest.mark.parametrize("rudderstack", [False, True])
async def test_a_transition_is_a_track_call(*, rudderstack: bool) -> None:
    api = TrackingApi(rudderstack=rudderstack)
    async with calls(api, integrations={"All": True, "Kafka": False}) as (connector, _):
        assert (await connector.deliver(message())).kind is K.OK
    assert api.calls == [
        {
            "type": "track",
            "messageId": DELIVERY_ID,
            "anonymousId": "pegel:acme",
            "event": "Segment Entered",
            "properties": {
                "account_id": "acme", "segment": "at_risk", "from_segment": None, "group": None, "direction": "entered",
                "effective_at": "2026-03-01T12:34:58.000Z", "entered_at": None, "sequence": 7, "catalog_version": None,
                "transition_id": "t-1", "play": "save", "title": "acme: at risk", "text": "*acme* is at risk",
                "delivery_id": DELIVERY_ID,
            },
            "context": {"library": {"name": "pegel", "version": "1"}, "groupId": "acme"},
            "timestamp": "2026-03-01T12:34:58.000Z",
            "integrations": {"All": True, "Kafka": False},
        }
    ]  # fmt: skip
    assert not api.dropped


async def test_groups_and_users_get_traits() -> None:
    api = TrackingApi()
    async with calls(api, **ALL) as (connector, _):
        assert (await connector.deliver(message())).kind is K.OK
    [group], [identify] = api.of("group"), api.of("identify")
    assert (group["groupId"], group["traits"], group["userId"]) == ("acme", {"pegel_segment": "at_risk"}, "anna")
    assert (identify["userId"], identify["traits"]) == ("anna", {"pegel_segment": "at_risk"})
    assert [call["messageId"] for call in api.calls] == [DELIVERY_ID, f"{DELIVERY_ID}-group", f"{DELIVERY_ID}-identify"]
    assert not api.dropped


async def test_repeats_are_dropped_by_their_message_ids() -> None:
    api = TrackingApi()
    async with calls(api, **ALL) as (connector, server):
        server.script("batch", dropped(commit=True))
        lost = await connector.deliver(message())
        again = await connector.deliver(message(2, after_ambiguous=True))
        bodies = {ask.body for ask in server.asked("batch")}
    assert (lost.kind, again.kind, len(api.calls), len(bodies)) == (K.AMBIGUOUS, K.OK, 3, 1)


async def test_a_digest_is_a_call_for_each_transition_and_a_list_one_for_all() -> None:
    api = TrackingApi()
    base = message().transition
    items = (base, {**base, "account_id": "globex", "direction": "exited"}, {**base, "direction": "moved"})
    async with calls(api, user="fact.owner", event_moved="Went") as (connector, _):
        assert (await connector.deliver(message(items=items, kind=MessageKind.DIGEST))).kind is K.OK
        rows = ({"account_id": "acme"}, {"account_id": "globex"})
        listed = Message(
            "d-2", 1, NOW_MS, "morning", rows[0], Rendered("2 trials", ""), kind=MessageKind.LIST, items=rows
        )
        assert (await connector.deliver(listed)).kind is K.OK
        assert (await connector.deliver(Message("d", 1, NOW_MS, "p", {}, Rendered("t", "")))).detail == "no_transition"
    assert [(call["event"], call.get("userId"), call["messageId"]) for call in api.calls] == [
        ("Segment Entered", "anna", DELIVERY_ID), ("Segment Exited", None, f"{DELIVERY_ID}-1"),
        ("Went", "anna", f"{DELIVERY_ID}-2"), ("Segment Listed", None, "d-2"),
    ]  # fmt: skip
    assert api.calls[-1]["properties"]["accounts"] == ["acme", "globex"]
    assert not api.dropped


async def test_requests_stay_within_the_limits_and_what_fits_none_is_rejected() -> None:
    api = TrackingApi()
    long = {f"p{n}": f"={'x' * 900}" for n in range(30)}
    async with calls(api, properties=long) as (connector, server):
        assert kinds(await connector.deliver_batch(batch(40))) == [K.OK] * 40
        assert len(server.asked("batch")) == 3
    async with calls(api, properties={f"p{n}": f"={'x' * 999}" for n in range(40)}) as (connector, server):
        outcome = await connector.deliver(message())
        assert not server.seen
    assert (outcome.kind, outcome.detail) == (K.REJECTED, "record_too_large")
    assert not api.dropped


async def test_one_call_that_is_refused_keeps_no_other_from_being_sent() -> None:
    api = TrackingApi()
    api.poisonous = {"a-3"}
    async with calls(api) as (connector, server):
        outcomes = await connector.deliver_batch(batch(8))
        server.script("batch", status(200, b'{"success":false}'))
        assert (await connector.deliver(message())).detail == "not_taken"
    assert [n for n, outcome in enumerate(outcomes) if outcome.kind is not K.OK] == [3]
    assert (outcomes[3].kind, len(api.calls)) == (K.REJECTED, 7)


async def test_a_test_is_a_call_about_nobody() -> None:
    api = TrackingApi(rudderstack=True)
    async with calls(api) as (connector, server):
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.OK
        assert [call["event"] for call in api.calls] == ["Pegel Test"]
        api.keys.clear()
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.AUTH
        server.script("batch", status(400))
        assert (await connector.deliver(message(kind=MessageKind.TEST))).kind is K.REJECTED
        assert (await connector.deliver(message())).kind is K.AUTH


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"calls": []}, "at least 1"), ({"calls": ["track", "track"]}, "twice"), ({"calls": ["page"]}, "calls"),
        ({"calls": ["group"]}, "carry traits"), (ALL | {"user": None}, "identify needs a user"),
        ({"user": "segment"}, "account_id or by a trait"), ({"allow_networks": ["x"]}, "allow_networks"),
        ({"url": "http://example.com"}, "https|not allowed"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    base = ACCESS | {"allow_http": False}
    SegmentConfig.model_validate(base)
    with pytest.raises(ValidationError, match=said):
        SegmentConfig.model_validate(base | given)


async def test_traits_of_another_account_are_not_this_ones_user() -> None:
    api = TrackingApi()
    items = (message().transition, {**message().transition, "account_id": "globex"})
    async with calls(api, **ALL) as (connector, _):
        await connector.deliver(replace(message(kind=MessageKind.DIGEST), items=items))
    assert [call.get("userId") for call in api.of("group")] == ["anna", None]
    assert [call.get("userId") for call in api.of("identify")] == ["anna"]
    async with calls(api, **(ALL | {"calls": ["identify"]})) as (connector, _):
        nobody = await connector.deliver(replace(message(), facts={}))
    assert (nobody.kind, nobody.detail) == (K.REJECTED, "user_unknown")
