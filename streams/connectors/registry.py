"""The types of destination there are. A new connector is a folder, and a line here."""

from typing import Final

from streams.connectors.console.connector import CONSOLE
from streams.connectors.contract import ConnectorType
from streams.connectors.customerio.connector import CUSTOMERIO
from streams.connectors.customerio.events import CUSTOMERIO_EVENT
from streams.connectors.email.connector import EMAIL
from streams.connectors.file.connector import FILE
from streams.connectors.hubspot.connector import HUBSPOT
from streams.connectors.hubspot.tasks import HUBSPOT_TASK
from streams.connectors.salesforce.connector import SALESFORCE
from streams.connectors.salesforce.tasks import SALESFORCE_TASK
from streams.connectors.segment.connector import SEGMENT
from streams.connectors.slack.bot import SLACK_BOT
from streams.connectors.slack.connector import SLACK
from streams.connectors.teams.connector import TEAMS
from streams.connectors.webhook.connector import WEBHOOK

CONNECTORS: Final[dict[str, ConnectorType]] = {
    kind.name: kind
    for kind in (
        SLACK,
        SLACK_BOT,
        TEAMS,
        EMAIL,
        HUBSPOT,
        HUBSPOT_TASK,
        SALESFORCE,
        SALESFORCE_TASK,
        CUSTOMERIO,
        CUSTOMERIO_EVENT,
        SEGMENT,
        WEBHOOK,
        FILE,
        CONSOLE,
    )
}
