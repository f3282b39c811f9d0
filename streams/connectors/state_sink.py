"""What CRMs have in common: a record per account, whose fields are written in batches, each time to the newest state.

A connector says how to ask about some records (`ask`), how large one is in a request, and how to find out whether it
would work (`check`, for test messages: nothing is written). The rest is here: records from messages, requests within
the provider's limits and the delivery's time, outcomes back to messages.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.connectors.batches import Answered, Record, asked, is_destinations, outcomes_of, parts, records_of
from streams.connectors.deadline import Deadline
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request."""

    records_max: int
    bytes_max: int
    record_bytes_max: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What all requests of one delivery share."""

    deadline: Deadline
    now_ms: int
    """When it began, by the notifier's clock."""


TOO_LARGE = Outcome(OutcomeKind.REJECTED, "record_too_large")


class StateSink(ABC):
    def __init__(self, identity: str, properties: Mapping[str, str], limits: Limits, timeout_s: float) -> None:
        self._identity = identity
        self._properties = properties
        self._limits = limits
        self._timeout_s = timeout_s

    async def deliver(self, message: Message) -> Outcome:
        return (await self.deliver_batch([message]))[0]

    async def deliver_batch(self, messages: Sequence[Message]) -> list[Outcome]:
        attempt = Attempt(Deadline(self._timeout_s), messages[0].sent_at_ms)
        records, without = records_of(messages, self._identity, self._properties)
        if any(message.kind is MessageKind.TEST for message in messages):
            found = await self.check(attempt)
            without |= {n: found for n, message in enumerate(messages) if message.kind is MessageKind.TEST}
        told = await self._told(records, attempt)
        return outcomes_of(len(messages), records, told, without)

    async def _told(self, records: Sequence[Record], attempt: Attempt) -> list[Outcome]:
        sizes = [self.size(record) for record in records]
        told: dict[int, Outcome] = {
            n: TOO_LARGE for n, size in enumerate(sizes) if size > self._limits.record_bytes_max
        }
        fitting = [n for n in range(len(records)) if n not in told]

        async def ask(part: Sequence[int]) -> Answered:
            return await self.ask([records[n] for n in part], attempt)

        ended: Outcome | None = None
        for part in parts([sizes[n] for n in fitting], self._limits.records_max, self._limits.bytes_max):
            places = fitting[part]
            outcomes = [ended] * len(places) if ended else await asked(places, ask, attempt.deadline.in_time)
            told.update(zip(places, outcomes, strict=True))
            ended = ended or next((outcome for outcome in outcomes if is_destinations(outcome)), None)
        return [told[n] for n in range(len(records))]

    @abstractmethod
    async def ask(self, records: Sequence[Record], attempt: Attempt) -> Answered:
        """Make one request about some records."""

    @abstractmethod
    async def check(self, attempt: Attempt) -> Outcome:
        """Whether records could be written, without writing any."""

    @abstractmethod
    def size(self, record: Record) -> int:
        """Bytes that the record takes in a request."""
