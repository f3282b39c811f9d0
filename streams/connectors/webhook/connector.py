"""Posts signed JSON to a URL."""

from typing import Final

import msgspec

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.document import document_of
from streams.connectors.http import HttpTarget, Unanswered
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome
from streams.connectors.webhook.answers import outcome_of
from streams.connectors.webhook.config import WebhookConfig
from streams.connectors.webhook.signature import key_of, signed_headers

TYPES: Final = {
    MessageKind.NOTE: "pegel.segment.transition.v1",
    MessageKind.DIGEST: "pegel.segment.digest.v1",
    MessageKind.LIST: "pegel.segment.list.v1",
    MessageKind.TEST: "pegel.test.v1",
}


class WebhookConnector:
    def __init__(self, config: WebhookConfig) -> None:
        self._key = key_of(config.secret.get_secret_value())
        self._target = HttpTarget(
            config.url.get_secret_value(),
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=True,
        )

    def __repr__(self) -> str:
        return "WebhookConnector()"

    async def deliver(self, message: Message) -> Outcome:
        body = body_of(message)
        headers = signed_headers(self._key, message.delivery_id, message.sent_at_ms // 1_000, body)
        if message.traceparent is not None:
            headers["traceparent"] = message.traceparent
        answer = await self._target.post(body, {"Content-Type": "application/json", **headers})
        if isinstance(answer, Unanswered):
            return answer.outcome()
        return outcome_of(answer, message.sent_at_ms)

    async def close(self) -> None:
        await self._target.close()


def body_of(message: Message) -> bytes:
    """The same bytes on every attempt: the time in it is the transition's."""
    return msgspec.json.encode(
        {
            "type": TYPES[message.kind],
            "timestamp": message.transition.get("effective_at"),
            "data": document_of(message),
        }
    )


def _build(config: Destination) -> WebhookConnector:
    assert isinstance(config, WebhookConfig)
    return WebhookConnector(config)


WEBHOOK = ConnectorType("webhook", WebhookConfig, Dialect.PLAIN, _build, deduplicates=True)
