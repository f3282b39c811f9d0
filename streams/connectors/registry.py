"""The types of destination there are. A new connector is a folder, and a line here."""

from typing import Final

from streams.connectors.console.connector import CONSOLE
from streams.connectors.contract import ConnectorType
from streams.connectors.email.connector import EMAIL
from streams.connectors.file.connector import FILE
from streams.connectors.slack.bot import SLACK_BOT
from streams.connectors.slack.connector import SLACK
from streams.connectors.teams.connector import TEAMS
from streams.connectors.webhook.connector import WEBHOOK

CONNECTORS: Final[dict[str, ConnectorType]] = {
    kind.name: kind for kind in (SLACK, SLACK_BOT, TEAMS, EMAIL, WEBHOOK, FILE, CONSOLE)
}
