"""Every connector's kit. `test_contract` refuses a connector that is registered and has none."""

from tests.unit.connectors.kit import Kit
from tests.unit.connectors.kits.console import CONSOLE_KIT
from tests.unit.connectors.kits.customerio import CUSTOMERIO_EVENT_KIT, CUSTOMERIO_KIT
from tests.unit.connectors.kits.email import EMAIL_KIT
from tests.unit.connectors.kits.file import FILE_KIT
from tests.unit.connectors.kits.hubspot import HUBSPOT_KIT, HUBSPOT_TASK_KIT
from tests.unit.connectors.kits.salesforce import SALESFORCE_KIT, SALESFORCE_TASK_KIT
from tests.unit.connectors.kits.segment import SEGMENT_KIT
from tests.unit.connectors.kits.slack import SLACK_BOT_KIT, SLACK_KIT
from tests.unit.connectors.kits.teams import TEAMS_KIT
from tests.unit.connectors.kits.webhook import WEBHOOK_KIT

KITS: tuple[Kit, ...] = (
    SLACK_KIT,
    SLACK_BOT_KIT,
    TEAMS_KIT,
    EMAIL_KIT,
    HUBSPOT_KIT,
    HUBSPOT_TASK_KIT,
    SALESFORCE_KIT,
    SALESFORCE_TASK_KIT,
    CUSTOMERIO_KIT,
    CUSTOMERIO_EVENT_KIT,
    SEGMENT_KIT,
    WEBHOOK_KIT,
    FILE_KIT,
    CONSOLE_KIT,
)
