"""Slack, both ways."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.playbook import Destination
from streams.connectors.slack.bot import SLACK_BOT
from streams.connectors.slack.config import SlackBotConfig, SlackConfig
from streams.connectors.slack.connector import SLACK
from tests.providers.faults import status
from tests.providers.server import Ask, ProviderServer
from tests.providers.slack import CHANNEL, HOOK, TOKEN, SlackApi
from tests.unit.connectors.kit import HTTP_CASES, HUNDREDS, STATUSES, Case, HttpLaws, K, Kit
from tests.unit.connectors.kits.scripted import ScriptedRig

HOOK_FAULTS = {
    Case.TOO_FAST: status(429, b'{"retry_after":7,"ok":false,"error":"rate_limited"}', {"Retry-After": "7"}),
    Case.REFUSED: status(400, b"invalid_payload"),
    Case.UNAUTHORIZED: status(403, b"invalid_token"),
    Case.VANISHED: status(410, b"channel_is_archived"),
}


class WebhookRig(ScriptedRig):
    route = "webhook"
    faults = HOOK_FAULTS

    def __init__(self, api: SlackApi, server: ProviderServer) -> None:
        super().__init__(server, api.clock)
        self.api = api

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(HOOK), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return SlackConfig.model_validate(
            {"id": "team", "type": "slack", "url": url, "allow_http": allow_http, "timeout_s": timeout_s}
        )

    def landed(self) -> list[str]:
        return [message.delivery_id for message in self.api.hook.messages]


BOT_FAULTS = {
    Case.TOO_FAST: status(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": "7"}),
    Case.REFUSED: status(200, b'{"ok":false,"error":"invalid_blocks"}'),
    Case.UNAUTHORIZED: status(200, b'{"ok":false,"error":"token_revoked"}'),
    Case.VANISHED: status(200, b'{"ok":false,"error":"is_archived"}'),
    Case.UNWELL: status(200, b'{"ok":false,"error":"service_unavailable"}'),
}


class BotRig(ScriptedRig):
    route = "chat.postMessage"
    faults = BOT_FAULTS

    def __init__(self, api: SlackApi, server: ProviderServer) -> None:
        super().__init__(server, api.clock)
        self.api = api

    def config(self, timeout_s: float = 5.0, **more: Any) -> SlackBotConfig:
        return self.config_at(self.server.url("/api"), timeout_s, **more)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True, **more: Any) -> SlackBotConfig:
        return SlackBotConfig.model_validate(
            {"id": "team", "type": "slack_bot", "token": TOKEN, "channel": CHANNEL, "api_url": url,
             "allow_http": allow_http, "timeout_s": timeout_s, **more}
        )  # fmt: skip

    def landed(self) -> list[str]:
        return [message.delivery_id for message in self.api.channels[CHANNEL].messages]


@asynccontextmanager
async def webhook_rig(_: Path) -> AsyncIterator[WebhookRig]:
    api = SlackApi()
    async with ProviderServer(api) as server:
        yield WebhookRig(api, server)


@asynccontextmanager
async def bot_rig(_: Path) -> AsyncIterator[BotRig]:
    api = SlackApi()
    async with ProviderServer(api) as server:
        yield BotRig(api, server)


def _hook_delivery(ask: Ask) -> str:
    return str(ask.json()["blocks"][0]["block_id"])


def _bot_delivery(ask: Ask) -> str:
    return str(ask.json()["metadata"]["event_payload"]["delivery_id"])


SLACK_KIT = Kit(
    SLACK,
    webhook_rig,
    HTTP_CASES,
    # A 200 is all that a webhook has to say; only a page instead of it gives away that it was not Slack.
    {Case.HTML_PAGE: K.RETRY_DESTINATION, Case.BOMB: K.OK, Case.ENDLESS: K.OK, Case.TRICKLE: K.OK},
    ("very-secret-token",),
    gives_ref=False,
    http=HttpLaws("webhook", HOOK, STATUSES, HUNDREDS, _hook_delivery),
)

SLACK_BOT_KIT = Kit(
    SLACK_BOT,
    bot_rig,
    HTTP_CASES,
    secrets=(TOKEN,),
    http=HttpLaws(
        "chat.postMessage",
        "/api",
        STATUSES | {404: K.RETRY_DESTINATION, 410: K.RETRY_DESTINATION, 503: K.RETRY_DESTINATION},
        {2: K.AMBIGUOUS, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.AMBIGUOUS},
        _bot_delivery,
    ),
)
