"""Makes tasks about accounts, each once: a task is an upsert by an external id that holds its delivery's id."""

from typing import Final

import msgspec

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt
from streams.connectors.batches import NO_ACCOUNT, NO_TRANSITION, PUT_OFF, unsent
from streams.connectors.contract import ConnectorType
from streams.connectors.deadline import Deadline
from streams.connectors.dialects import Dialect
from streams.connectors.fields import identity_of
from streams.connectors.http import Answer
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind
from streams.connectors.salesforce.answers import UNREADABLE, Missing, failure_of, missing, one_of
from streams.connectors.salesforce.api import SalesforceApi
from streams.connectors.salesforce.config import SalesforceTaskConfig
from streams.connectors.salesforce.connector import NO_FIELD, checked
from streams.connectors.salesforce.payload import accounts_of, owner_of, task_body

NO_RECORD: Final = Outcome(OutcomeKind.RETRY_RECORD, "account_not_in_salesforce")


class _Found(msgspec.Struct):
    Id: str = ""


class SalesforceTaskConnector:
    def __init__(self, config: SalesforceTaskConfig) -> None:
        self._config = config
        self._api = SalesforceApi(config)

    def __repr__(self) -> str:
        return "SalesforceTaskConnector()"

    async def deliver(self, message: Message) -> Outcome:
        attempt = Attempt(Deadline(self._config.timeout_s), message.sent_at_ms)
        if message.kind is MessageKind.TEST:
            return await checked(self._api, self._config, attempt)
        accounts = accounts_of(message)
        if not accounts:
            return NO_TRANSITION
        # A task is about one account; what is about several names them in its words.
        company = await self._company(message, attempt) if len(accounts) == 1 else None
        if isinstance(company, Outcome):
            return company
        return await self._make(message, company, attempt)

    async def close(self) -> None:
        await self._api.close()

    async def _company(self, message: Message, attempt: Attempt) -> str | Outcome:
        """Salesforce's id of the account. Accounts are not made here: they need more than their id."""
        config = self._config
        key = identity_of(config.account, message.transition, message.facts)
        if key is None:
            return NO_ACCOUNT
        path = self._api.record(config.object, config.external_id, key, "?fields=Id")
        answer = await self._api.ask("GET", path, None, attempt.deadline)
        if isinstance(answer, Outcome):
            return answer
        if not isinstance(answer, Answer):
            return unsent(answer.outcome())
        if answer.status == 404 and missing(answer) is not Missing.PATH:
            return NO_RECORD if missing(answer) is Missing.RECORD else NO_FIELD
        if not 200 <= answer.status < 300:
            return failure_of(answer, attempt.now_ms)
        try:
            found = msgspec.json.decode(answer.body, type=_Found).Id
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = ""
        return found or Outcome(OutcomeKind.RETRY_DESTINATION, UNREADABLE)

    async def _make(self, message: Message, company: str | None, attempt: Attempt) -> Outcome:
        if not attempt.deadline.in_time():
            return PUT_OFF
        config = self._config
        given = {"Priority": config.priority, "Status": config.status}
        owner = owner_of(message, config.owner_id)
        body = task_body(message, given | ({"OwnerId": owner} if owner else {}), config.due_days, company)
        path = self._api.record("Task", config.task_external_id, message.delivery_id)
        answer = await self._api.ask("PATCH", path, body, attempt.deadline)
        if isinstance(answer, Outcome):
            return answer
        if not isinstance(answer, Answer):
            return answer.outcome()
        if not 200 <= answer.status < 300:
            return failure_of(answer, attempt.now_ms)
        return one_of(answer) or Outcome(OutcomeKind.AMBIGUOUS, UNREADABLE)


def _build(config: Destination) -> SalesforceTaskConnector:
    assert isinstance(config, SalesforceTaskConfig)
    return SalesforceTaskConnector(config)


SALESFORCE_TASK = ConnectorType("salesforce_task", SalesforceTaskConfig, Dialect.PLAIN, _build, deduplicates=True)
