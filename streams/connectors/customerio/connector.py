"""Keeps attributes of accounts up to date; accounts are objects."""

from collections.abc import Sequence
from typing import Final

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt, StateSink
from streams.connectors.batches import Answered, Record
from streams.connectors.contract import ConnectorType
from streams.connectors.customerio.api import BATCH_MAX, LIMITS, CustomerioApi
from streams.connectors.customerio.config import CustomerioConfig
from streams.connectors.customerio.payload import object_of
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, OutcomeKind

OBJECT_ID_CHARS_MAX: Final = 150
ID_TOO_LONG: Final = Outcome(OutcomeKind.REJECTED, "account_id_too_long")


class CustomerioConnector(StateSink):
    def __init__(self, config: CustomerioConfig) -> None:
        super().__init__(config.account, config.properties, LIMITS, config.timeout_s)
        self._config = config
        self._api = CustomerioApi(config)

    def __repr__(self) -> str:
        return "CustomerioConnector()"

    async def ask(self, entries: Sequence[Record], attempt: Attempt) -> Answered:
        return await self._api.send([object_of(entry, self._config.object_type_id) for entry in entries], attempt)

    async def check(self, attempt: Attempt) -> Outcome:
        return await self._api.check(attempt)

    def collect(self, messages: Sequence[Message]) -> tuple[Sequence[Record], dict[int, Outcome]]:
        records, without = super().collect(messages)
        for record in records:
            if len(record.key) > OBJECT_ID_CHARS_MAX:
                without |= dict.fromkeys(record.messages, ID_TOO_LONG)
        return [record for record in records if len(record.key) <= OBJECT_ID_CHARS_MAX], without

    def size(self, entry: Record) -> int:
        return len(object_of(entry, self._config.object_type_id)) + 1

    async def close(self) -> None:
        await self._api.close()


def _build(config: Destination) -> CustomerioConnector:
    assert isinstance(config, CustomerioConfig)
    return CustomerioConnector(config)


CUSTOMERIO = ConnectorType(
    "customerio", CustomerioConfig, Dialect.PLAIN, _build, deduplicates=True, latest_wins=True, batch_max=BATCH_MAX
)
