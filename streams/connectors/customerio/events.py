"""Sends events of people: what campaigns and in-app messages are triggered by."""

from collections.abc import Sequence
from typing import Final

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt, BatchSink
from streams.connectors.batches import Answered
from streams.connectors.contract import ConnectorType
from streams.connectors.customerio.api import BATCH_MAX, LIMITS, CustomerioApi
from streams.connectors.customerio.config import CustomerioEventConfig
from streams.connectors.customerio.payload import Event, event_of
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind

NOBODY: Final = Outcome(OutcomeKind.REJECTED, "person_unknown")


class CustomerioEventConnector(BatchSink[Event]):
    def __init__(self, config: CustomerioEventConfig) -> None:
        super().__init__(LIMITS, config.timeout_s)
        self._config = config
        self._api = CustomerioApi(config)

    def __repr__(self) -> str:
        return "CustomerioEventConnector()"

    def collect(self, messages: Sequence[Message]) -> tuple[Sequence[Event], dict[int, Outcome]]:
        config = self._config
        events: list[Event] = []
        without: dict[int, Outcome] = {}
        for place, message in enumerate(messages):
            person = message.facts.get(config.person.removeprefix("fact."))
            if message.kind is MessageKind.TEST:
                continue
            if not person:
                without[place] = NOBODY
                continue
            body = event_of(message, config.event, {config.person_by: person}, config.properties)
            events.append(Event(body, [place]))
        return events, without

    async def ask(self, entries: Sequence[Event], attempt: Attempt) -> Answered:
        return await self._api.send([entry.body for entry in entries], attempt)

    async def check(self, attempt: Attempt) -> Outcome:
        return await self._api.check(attempt)

    def size(self, entry: Event) -> int:
        return len(entry.body) + 1

    async def close(self) -> None:
        await self._api.close()


def _build(config: Destination) -> CustomerioEventConnector:
    assert isinstance(config, CustomerioEventConfig)
    return CustomerioEventConnector(config)


CUSTOMERIO_EVENT = ConnectorType(
    "customerio_event", CustomerioEventConfig, Dialect.PLAIN, _build, deduplicates=True, batch_max=BATCH_MAX
)
