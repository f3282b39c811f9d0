"""Any HTTP endpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.playbook import Destination
from streams.connectors.webhook.config import WebhookConfig
from streams.connectors.webhook.connector import WEBHOOK
from tests.providers.server import ProviderServer
from tests.providers.webhook import PATH, SECRET, WebhookReceiver
from tests.unit.connectors.kit import HTTP_CASES, HUNDREDS, STATUSES, Case, HttpLaws, K, Kit
from tests.unit.connectors.kits.scripted import ScriptedRig


class WebhookRig(ScriptedRig):
    route = "hook"

    def __init__(self, api: WebhookReceiver, server: ProviderServer) -> None:
        super().__init__(server, api.clock)
        self.api = api

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(PATH), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return WebhookConfig.model_validate(
            {"id": "hook", "type": "webhook", "url": url, "secret": SECRET, "allow_http": allow_http,
             "timeout_s": timeout_s}
        )  # fmt: skip

    def landed(self) -> list[str]:
        return list(self.api.received)


@asynccontextmanager
async def webhook_rig(_: Path) -> AsyncIterator[WebhookRig]:
    api = WebhookReceiver()
    async with ProviderServer(api) as server:
        yield WebhookRig(api, server)


WEBHOOK_KIT = Kit(
    WEBHOOK,
    webhook_rig,
    HTTP_CASES,
    # A receiver's 2xx is all that is asked of it; what it says beside it does not matter.
    {Case.HTML_PAGE: K.OK, Case.BOMB: K.OK, Case.ENDLESS: K.OK, Case.TRICKLE: K.OK},
    ("very-secret-token", SECRET, SECRET.removeprefix("whsec_")),
    gives_ref=False,
    http=HttpLaws(
        "hook",
        PATH,
        STATUSES | {404: K.RETRY_DESTINATION, 502: K.THROTTLED, 504: K.THROTTLED},
        HUNDREDS,
        lambda ask: ask.headers["webhook-id"],
        keeps_connections=True,
    ),
)
