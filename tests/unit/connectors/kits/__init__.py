"""Every connector's kit. `test_contract` refuses a connector that is registered and has none."""

from tests.unit.connectors.kit import Kit
from tests.unit.connectors.kits.console import CONSOLE_KIT
from tests.unit.connectors.kits.slack import SLACK_BOT_KIT, SLACK_KIT
from tests.unit.connectors.kits.webhook import WEBHOOK_KIT

KITS: tuple[Kit, ...] = (SLACK_KIT, SLACK_BOT_KIT, WEBHOOK_KIT, CONSOLE_KIT)
