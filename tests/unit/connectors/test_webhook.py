"""What is the webhook's own: the signature, the body, the networks."""

import base64
import json
import time
from dataclasses import replace

import pytest
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from streams.connectors.message import Link, MessageKind, Rendered
from streams.connectors.webhook.config import WebhookConfig
from streams.connectors.webhook.connector import TYPES, WebhookConnector, body_of
from streams.connectors.webhook.signature import key_of, signed_headers
from tests.providers.server import ProviderServer
from tests.providers.webhook import PATH, WebhookReceiver
from tests.providers.webhook import SECRET as WEBHOOK_SECRET
from tests.unit.connectors.kit import message


def test_the_specifications_own_example_is_signed_as_it_says() -> None:
    headers = signed_headers(
        key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_the_specifications_library_accepts_what_is_sent() -> None:
    now_ms = int(time.time() * 1_000)
    async with ProviderServer(WebhookReceiver()) as server:
        config = WebhookConfig(
            id="hook",
            type="webhook",
            url=SecretStr(server.url(PATH)),
            secret=SecretStr(WEBHOOK_SECRET),
            allow_http=True,
        )
        connector = WebhookConnector(config)
        await connector.deliver(replace(message(), sent_at_ms=now_ms))
        await connector.close()
        [ask] = server.seen
    headers = {name.lower(): value for name, value in ask.headers.items()}
    data = Webhook(WEBHOOK_SECRET).verify(ask.body, headers)
    assert data["data"]["transition"]["account_id"] == "acme"


def test_the_body_says_what_happened_to_whom_and_in_which_words() -> None:
    told = message(owner="anna", rendered=Rendered("acme: at risk", "why", (Link("Open", "https://example.com/a"),)))
    assert json.loads(body_of(told)) == {
        "type": "pegel.segment.transition.v1",
        "timestamp": "2026-03-01T12:34:58.000Z",
        "data": {
            "delivery_id": "8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e",
            "kind": "note",
            "play": "save",
            "title": "acme: at risk",
            "text": "why",
            "links": [{"label": "Open", "url": "https://example.com/a"}],
            "owner": "anna",
            "facts": dict(told.facts),
            "transition": dict(told.transition),
            "items": [dict(told.transition)],
        },
    }


@pytest.mark.parametrize("kind", MessageKind)
def test_the_type_says_what_kind_of_message_it_is(kind: MessageKind) -> None:
    body = json.loads(body_of(message(kind=kind)))
    assert body["data"]["kind"] == kind
    assert body["type"] == TYPES[kind]
    assert len(set(TYPES.values())) == len(MessageKind)


async def test_a_receiver_that_remembers_ids_sees_it_once_however_often_it_is_sent() -> None:
    receiver = WebhookReceiver()
    async with ProviderServer(receiver) as server:
        config = WebhookConfig(
            id="hook",
            type="webhook",
            url=SecretStr(server.url(PATH)),
            secret=SecretStr(WEBHOOK_SECRET),
            allow_http=True,
        )
        connector = WebhookConnector(config)
        for attempt in range(1, 4):
            assert (await connector.deliver(message(attempt))).kind == "ok"
        await connector.close()
        assert len(server.seen) == 3
    assert len(receiver.received) == 1


@pytest.mark.parametrize("key", [b"x" * 23, b"x" * 65, b""])
def test_a_secret_of_a_wrong_length_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        key_of("whsec_" + base64.b64encode(key).decode())


@pytest.mark.parametrize("secret", ["whsec_not base64!", "whsec_ümlaut", "hunter2"])
def test_a_secret_that_is_none_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match=r"base64|bytes") as caught:
        key_of(secret)
    assert secret not in str(caught.value)


async def test_a_named_network_is_allowed_over_plain_http_and_others_are_not() -> None:
    async with ProviderServer(WebhookReceiver()) as server:
        base = {"id": "hook", "type": "webhook", "secret": WEBHOOK_SECRET, "url": server.url(PATH)}
        named = WebhookConfig.model_validate(base | {"allow_networks": ["127.0.0.0/8"]})
        connector = WebhookConnector(named)
        assert (await connector.deliver(message())).kind == "ok"
        await connector.close()
        with pytest.raises(ValidationError, match="address is not allowed"):
            WebhookConfig.model_validate(base | {"allow_networks": ["10.0.0.0/8"]})


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="allow_networks"):
        WebhookConfig.model_validate(
            {"id": "h", "type": "webhook", "url": "https://example.com/", "secret": WEBHOOK_SECRET,
             "allow_networks": ["10.0.0.0/99"]}
        )  # fmt: skip
