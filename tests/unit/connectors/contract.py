"""The kit that every HTTP connector is tested with: add yours to KITS, and the laws of test_contract.py hold it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from schemas.playbook import Destination
from streams.connectors.contract import Connector
from streams.connectors.message import Message, Rendered
from streams.connectors.outcome import OutcomeKind
from streams.connectors.slack.config import SlackConfig
from streams.connectors.slack.connector import SlackConnector
from streams.connectors.webhook.config import WebhookConfig
from streams.connectors.webhook.connector import WebhookConnector
from tests.unit.connectors.provider import Seen

K = OutcomeKind
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Kit:
    name: str
    config: Callable[[str, float], Destination]
    """From a URL and a time-out."""
    connector: Callable[[Destination], Connector]
    statuses: Mapping[int, OutcomeKind]
    """What differs from the rest of its hundred."""
    hundreds: Mapping[int, OutcomeKind]
    delivery_id: Callable[[Seen], str]
    secrets: tuple[str, ...]
    keeps_connections: bool
    """Only who can tell a repeat may use a connection again: an idle one may break just then."""

    def expected(self, status: int) -> OutcomeKind:
        return self.statuses.get(status, self.hundreds[status // 100])


def _slack(url: str, timeout_s: float) -> SlackConfig:
    return SlackConfig(id="team", type="slack", url=SecretStr(url), allow_http=True, timeout_s=timeout_s)


def _webhook(url: str, timeout_s: float) -> WebhookConfig:
    return WebhookConfig(
        id="hook", type="webhook", url=SecretStr(url), secret=SecretStr(WEBHOOK_SECRET), allow_http=True,
        timeout_s=timeout_s,
    )  # fmt: skip


def _slack_connector(config: Destination) -> SlackConnector:
    assert isinstance(config, SlackConfig)
    return SlackConnector(config)


def _webhook_connector(config: Destination) -> WebhookConnector:
    assert isinstance(config, WebhookConfig)
    return WebhookConnector(config)


HUNDREDS = {2: K.OK, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION}

KITS = (
    Kit(
        "slack",
        _slack,
        _slack_connector,
        {401: K.AUTH, 403: K.AUTH, 404: K.GONE, 408: K.RETRY_DESTINATION, 409: K.RETRY_RECORD, 410: K.GONE,
         421: K.RETRY_DESTINATION, 423: K.RETRY_RECORD, 425: K.RETRY_RECORD, 429: K.THROTTLED},
        HUNDREDS,
        lambda seen: str(json.loads(seen.body)["blocks"][0]["block_id"]),
        ("very-secret-token",),
        keeps_connections=False,
    ),
    Kit(
        "webhook",
        _webhook,
        _webhook_connector,
        {401: K.AUTH, 403: K.AUTH, 404: K.RETRY_DESTINATION, 408: K.RETRY_DESTINATION, 409: K.RETRY_RECORD,
         410: K.GONE, 421: K.RETRY_DESTINATION, 423: K.RETRY_RECORD, 425: K.RETRY_RECORD, 429: K.THROTTLED,
         502: K.THROTTLED, 504: K.THROTTLED},
        HUNDREDS,
        lambda seen: seen.headers["webhook-id"],
        ("very-secret-token", WEBHOOK_SECRET, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        keeps_connections=True,
    ),
)  # fmt: skip


def message(attempt: int = 1, title: str = "acme: at risk", body: str = "*acme* is at risk") -> Message:
    return Message(
        "8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e",
        attempt,
        1_772_368_498_000 + attempt,
        "save",
        {
            "transition_id": "t-1",
            "account_id": "acme",
            "segment": "at_risk",
            "effective_at": "2026-03-01T12:34:58.000Z",
        },
        Rendered(title, body),
    )
