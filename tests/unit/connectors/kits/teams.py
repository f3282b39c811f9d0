"""Microsoft Teams."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.playbook import Destination
from streams.connectors.teams.config import TeamsConfig
from streams.connectors.teams.connector import TEAMS
from tests.providers.server import Ask, ProviderServer
from tests.providers.teams import PATH, SIGNATURE, TeamsApi
from tests.unit.connectors.kit import HTTP_CASES, HUNDREDS, STATUSES, Case, HttpLaws, K, Kit
from tests.unit.connectors.kits.scripted import ScriptedRig

SIGNED = f"{PATH}?api-version=1&sig={SIGNATURE}"


class TeamsRig(ScriptedRig):
    route = "workflow"

    def __init__(self, api: TeamsApi, server: ProviderServer) -> None:
        super().__init__(server, api.clock)
        self.api = api

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(SIGNED), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return TeamsConfig.model_validate(
            {"id": "team", "type": "teams", "url": url, "allow_http": allow_http, "timeout_s": timeout_s}
        )

    def landed(self) -> list[str]:
        return [card["body"][0]["id"] for card in self.api.cards]


@asynccontextmanager
async def teams_rig(_: Path) -> AsyncIterator[TeamsRig]:
    api = TeamsApi()
    async with ProviderServer(api) as server:
        yield TeamsRig(api, server)


def _delivery(ask: Ask) -> str:
    return str(ask.json()["attachments"][0]["content"]["body"][0]["id"])


TEAMS_KIT = Kit(
    TEAMS,
    teams_rig,
    HTTP_CASES,
    {Case.HTML_PAGE: K.RETRY_DESTINATION, Case.BOMB: K.OK, Case.ENDLESS: K.OK, Case.TRICKLE: K.OK},
    ("very-secret-token", SIGNATURE),
    gives_ref=False,
    http=HttpLaws("workflow", SIGNED, STATUSES, HUNDREDS, _delivery),
)
