"""Keeps fields of accounts up to date."""

from collections.abc import Sequence
from typing import Final

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt, Limits, StateSink
from streams.connectors.batches import Answered, Record, Refused
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, ok
from streams.connectors.salesforce.answers import UNREADABLE, Missing, each_of, failure_of, missing
from streams.connectors.salesforce.api import SalesforceApi
from streams.connectors.salesforce.config import SalesforceAccess, SalesforceConfig
from streams.connectors.salesforce.payload import collection_body

BATCH_MAX: Final = 200
LIMITS: Final = Limits(entries_max=BATCH_MAX, bytes_max=4 << 20, entry_bytes_max=256 << 10)
NOBODY: Final = "pegel-test"
NO_FIELD: Final = Outcome(OutcomeKind.AUTH, "external_id_field_missing")


class SalesforceConnector(StateSink):
    def __init__(self, config: SalesforceConfig) -> None:
        super().__init__(config.account, config.properties, LIMITS, config.timeout_s)
        self._config = config
        self._api = SalesforceApi(config)

    def __repr__(self) -> str:
        return "SalesforceConnector()"

    async def ask(self, entries: Sequence[Record], attempt: Attempt) -> Answered:
        kind, external_id = self._config.object, self._config.external_id
        body = collection_body(entries, kind, external_id)
        answer = await self._api.ask("PATCH", self._api.collection(kind, external_id), body, attempt.deadline)
        if isinstance(answer, Outcome):
            return [answer] * len(entries)
        if not isinstance(answer, Answer):
            return [answer.outcome()] * len(entries)
        if not 200 <= answer.status < 300:
            failed = failure_of(answer, attempt.now_ms)
            return Refused(failed) if failed.kind is OutcomeKind.REJECTED else [failed] * len(entries)
        told = each_of(answer, len(entries))
        # A page of somebody in between, or an answer that broke off.
        return [Outcome(OutcomeKind.AMBIGUOUS, UNREADABLE)] * len(entries) if told is None else told

    async def check(self, attempt: Attempt) -> Outcome:
        return await checked(self._api, self._config, attempt)

    def size(self, entry: Record) -> int:
        return len(collection_body([entry], self._config.object, self._config.external_id))

    async def close(self) -> None:
        await self._api.close()


async def checked(api: SalesforceApi, config: SalesforceAccess, attempt: Attempt) -> Outcome:
    """Whether the credentials and the external id field are good: asks for a record that nobody has."""
    answer = await api.ask(
        "GET", api.record(config.object, config.external_id, NOBODY, "?fields=Id"), None, attempt.deadline
    )
    if isinstance(answer, Outcome):
        return answer
    if not isinstance(answer, Answer):
        return answer.outcome()
    if answer.status == 404 and missing(answer) is not Missing.PATH:
        return ok() if missing(answer) is Missing.RECORD else NO_FIELD
    return ok() if 200 <= answer.status < 300 else failure_of(answer, attempt.now_ms)


def _build(config: Destination) -> SalesforceConnector:
    assert isinstance(config, SalesforceConfig)
    return SalesforceConnector(config)


SALESFORCE = ConnectorType(
    "salesforce", SalesforceConfig, Dialect.PLAIN, _build, deduplicates=True, latest_wins=True, batch_max=BATCH_MAX
)
