"""Keeps fields of companies up to date."""

from collections.abc import Sequence
from typing import Final

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt, Limits, StateSink
from streams.connectors.batches import Answered, Record
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.http import Answer
from streams.connectors.hubspot.answers import Sent, told
from streams.connectors.hubspot.api import HubspotApi
from streams.connectors.hubspot.config import HubspotConfig
from streams.connectors.hubspot.payload import upsert_body
from streams.connectors.hubspot.properties import checked, prepared
from streams.connectors.outcome import Outcome
from streams.connectors.preparing import Step

BATCH_MAX: Final = 100
LIMITS: Final = Limits(entries_max=BATCH_MAX, bytes_max=2 << 20, entry_bytes_max=256 << 10)


class HubspotConnector(StateSink):
    def __init__(self, config: HubspotConfig) -> None:
        super().__init__(config.account, config.properties, LIMITS, config.timeout_s)
        self._config = config
        self._api = HubspotApi(config)

    def __repr__(self) -> str:
        return "HubspotConnector()"

    async def ask(self, entries: Sequence[Record], attempt: Attempt) -> Answered:
        return await upserted(self._api, self._config.id_property, entries, attempt)

    async def check(self, attempt: Attempt) -> Outcome:
        return await checked(self._api, self._config.id_property, attempt)

    async def prepare(self, segments: Sequence[str], groups: Sequence[str], now_ms: int) -> list[Step]:
        """Make the properties that are missing: the unique one, and those that are written."""
        properties = self._config.properties
        return await prepared(self._api, self._config.id_property, properties, (segments, groups), now_ms)

    def size(self, entry: Record) -> int:
        return len(upsert_body([entry], self._config.id_property))

    async def close(self) -> None:
        await self._api.close()


async def upserted(api: HubspotApi, id_property: str, records: Sequence[Record], attempt: Attempt) -> Answered:
    """Create or update companies; what succeeds has HubSpot's id as its ref."""
    body = upsert_body(records, id_property)
    answer = await api.ask("POST", api.objects("companies", "/batch/upsert"), body, attempt)
    if isinstance(answer, Outcome):
        return [answer] * len(records)
    failed = api.failure(answer, attempt.now_ms) if isinstance(answer, Answer) else None
    sent = Sent([record.trace for record in records], [record.key for record in records], id_property)
    return told(answer, sent, failed)


def _build(config: Destination) -> HubspotConnector:
    assert isinstance(config, HubspotConfig)
    return HubspotConnector(config)


HUBSPOT = ConnectorType(
    "hubspot", HubspotConfig, Dialect.PLAIN, _build, deduplicates=True, latest_wins=True, batch_max=BATCH_MAX
)
