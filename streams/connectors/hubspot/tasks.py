"""Makes tasks about companies, each once.

HubSpot cannot tell a task from its repeat. So each carries a marker with its delivery's id at the end of its body, and
where an earlier attempt may have got through the newest tasks of the company are read first. Company and task are
listed as they are stored: HubSpot's search would lag behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt
from streams.connectors.batches import NO_ACCOUNT, NO_TRANSITION, PUT_OFF, Record, Refused, asked, unsent, worst
from streams.connectors.contract import ConnectorType
from streams.connectors.deadline import Deadline
from streams.connectors.dialects import Dialect
from streams.connectors.fields import identity_of
from streams.connectors.http import Answer
from streams.connectors.hubspot.answers import UNREADABLE, id_of
from streams.connectors.hubspot.api import HubspotApi
from streams.connectors.hubspot.config import HubspotTaskConfig
from streams.connectors.hubspot.connector import upserted
from streams.connectors.hubspot.payload import marker_of, owner_of, task_body
from streams.connectors.hubspot.properties import checked, prepared
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind, ok
from streams.connectors.preparing import Step

COMPANIES_MAX: Final = 50
"""A digest about more is told of the first; the words name them all."""
LISTED_MAX: Final = 500
PAGES_MAX: Final = 10
READ_MAX: Final = 100
MAYBE_DONE: Final = frozenset({500, 502, 504, 524})
"""After these nobody knows whether the task was made."""


class HubspotTaskConnector:
    def __init__(self, config: HubspotTaskConfig) -> None:
        self._config = config
        self._api = HubspotApi(config)

    def __repr__(self) -> str:
        return "HubspotTaskConnector()"

    async def deliver(self, message: Message) -> Outcome:
        attempt = Attempt(Deadline(self._config.timeout_s), message.sent_at_ms)
        if message.kind is MessageKind.TEST:
            return await checked(self._api, self._config.id_property, attempt)
        companies = await self._companies(message, attempt)
        if isinstance(companies, Outcome):
            return companies
        if message.after_ambiguous:
            found = await self._made_before(message, companies[0], attempt)
            if found is not None:
                return found
        return await self._make(message, companies, attempt)

    async def prepare(self, segments: Sequence[str], groups: Sequence[str], now_ms: int) -> list[Step]:
        """Make the unique property if it is missing."""
        return await prepared(self._api, self._config.id_property, {}, (segments, groups), now_ms)

    async def close(self) -> None:
        await self._api.close()

    async def _companies(self, message: Message, attempt: Attempt) -> list[str] | Outcome:
        """HubSpot's ids of the accounts that the message is about; the leading one first."""
        items = message.items or ((message.transition,) if message.transition else ())
        leading = message.transition.get("account_id")
        facts = [message.facts if item.get("account_id") == leading else {} for item in items]
        found = [identity_of(self._config.account, item, fact) for item, fact in zip(items, facts, strict=True)]
        keys = list(dict.fromkeys(key for key in found if key is not None))[:COMPANIES_MAX]
        if not keys:
            return NO_ACCOUNT if items else NO_TRANSITION
        records = [Record(key, f"{message.delivery_id}:{n}") for n, key in enumerate(keys)]

        async def ask(part: Sequence[Record]) -> Refused | Sequence[Outcome]:
            return await upserted(self._api, self._config.id_property, part, attempt)

        outcomes = await asked(records, ask, attempt.deadline.in_time)
        bad = worst(outcomes)
        if bad.kind is not OutcomeKind.OK:
            # What stands open here is a company, and those are written as often as one likes.
            return unsent(bad)
        return [outcome.ref for outcome in outcomes if outcome.ref] or Outcome(
            OutcomeKind.RETRY_DESTINATION, UNREADABLE
        )

    async def _made_before(self, message: Message, company: str, attempt: Attempt) -> Outcome | None:
        """The outcome, if the task is there already or that cannot be found out; `None`: it is not there."""
        ids = await self._tasks_of(company, attempt)
        if isinstance(ids, Outcome):
            return ids
        ids.sort(key=lambda task: (len(task), task))  # a greater number is a newer one
        newest = ids[-READ_MAX:]
        if not newest:
            return None
        body = msgspec.json.encode({"properties": ["hs_task_body"], "inputs": [{"id": task} for task in newest]})
        tasks = await self._read("POST", self._api.objects("tasks", "/batch/read"), body, attempt)
        if isinstance(tasks, Outcome):
            return tasks
        marker = marker_of(message.delivery_id)
        for task in tasks.results:
            if marker in str((task.get("properties") or {}).get("hs_task_body")):
                return ok(str(task.get("id")))
        return None

    async def _tasks_of(self, company: str, attempt: Attempt) -> list[str] | Outcome:
        """The ids of the company's tasks, whose order is HubSpot's own."""
        ids: list[str] = []
        after = ""
        for _ in range(PAGES_MAX):
            page = await self._read("GET", self._api.tasks_of(company, LISTED_MAX, after), None, attempt)
            if isinstance(page, Outcome):
                return page
            ids += [str(task.get("toObjectId", "")) for task in page.results]
            after = page.after
            if not after:
                break
        return ids

    async def _read(self, method: str, path: str, body: bytes | None, attempt: Attempt) -> "_Page | Outcome":
        """The results of a request that changes nothing."""
        if not attempt.deadline.in_time():
            return PUT_OFF
        answer = await self._api.ask(method, path, body, attempt)
        if isinstance(answer, Outcome):
            return answer
        if not isinstance(answer, Answer):
            return unsent(answer.outcome())
        failed = self._api.failure(answer, attempt.now_ms)
        if failed is not None:
            return failed
        return _page(answer.body) or Outcome(OutcomeKind.RETRY_DESTINATION, UNREADABLE)

    async def _make(self, message: Message, companies: Sequence[str], attempt: Attempt) -> Outcome:
        if not attempt.deadline.in_time():
            return PUT_OFF
        config = self._config
        given = {"hs_task_priority": config.priority, "hs_task_type": config.task_type}
        body = task_body(message, companies, given, owner_of(message, config.owner_id), config.due_h)
        answer = await self._api.ask("POST", self._api.objects("tasks"), body, attempt)
        if isinstance(answer, Outcome):
            return answer
        if not isinstance(answer, Answer):
            return answer.outcome()
        failed = self._api.failure(answer, attempt.now_ms)
        if failed is not None:
            return Outcome(OutcomeKind.AMBIGUOUS, failed.detail) if answer.status in MAYBE_DONE else failed
        made = id_of(answer.body)
        return ok(made) if made else Outcome(OutcomeKind.AMBIGUOUS, UNREADABLE)


@dataclass(frozen=True, slots=True)
class _Page:
    results: list[dict[str, Any]]
    after: str
    """Where the next page begins; empty: there is none."""


def _page(body: bytes) -> _Page | None:
    try:
        decoded = msgspec.json.decode(body, type=_Listed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    following = decoded.paging.next if decoded.paging is not None else None
    return _Page(decoded.results, following.after if following is not None else "")


class _Next(msgspec.Struct):
    after: str = ""


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Listed(msgspec.Struct):
    results: list[dict[str, Any]]
    paging: _Paging | None = None


def _build(config: Destination) -> HubspotTaskConnector:
    assert isinstance(config, HubspotTaskConfig)
    return HubspotTaskConnector(config)


HUBSPOT_TASK = ConnectorType("hubspot_task", HubspotTaskConfig, Dialect.PLAIN, _build, deduplicates=True)
