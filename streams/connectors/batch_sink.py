"""What providers have in common that take batches: entries from messages, requests within limits, outcomes back.

A connector says which entries its messages make (`collect`), how large one is in a request (`size`), how to ask about
some (`ask`), and how to find out whether it would work (`check`, for test messages). The rest is here: an entry that
can fit no request is refused, requests stay within the provider's limits and the delivery's time, a failure of the
destination ends the delivery, and each message ends as the worst of its entries.

`StateSink` is the CRMs' form: an entry is a record, whose fields are written each time to the newest state.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from streams.connectors.batches import Answered, Entry, Record, asked, is_destinations, outcomes_of, parts, records_of
from streams.connectors.deadline import Deadline
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind

TOO_LARGE: Final = Outcome(OutcomeKind.REJECTED, "record_too_large")

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request."""

    entries_max: int
    bytes_max: int
    entry_bytes_max: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What all requests of one delivery share."""

    deadline: Deadline
    now_ms: int
    """When it began, by the notifier's clock."""


class BatchSink(ABC, Generic[E]):
    def __init__(self, limits: Limits, timeout_s: float) -> None:
        self._limits = limits
        self._timeout_s = timeout_s

    async def deliver(self, message: Message) -> Outcome:
        return (await self.deliver_batch([message]))[0]

    async def deliver_batch(self, messages: Sequence[Message]) -> list[Outcome]:
        attempt = Attempt(Deadline(self._timeout_s), messages[0].sent_at_ms)
        entries, without = self.collect(messages)
        if any(message.kind is MessageKind.TEST for message in messages):
            found = await self.check(attempt)
            without |= {n: found for n, message in enumerate(messages) if message.kind is MessageKind.TEST}
        told = await self._told(entries, attempt)
        return outcomes_of(len(messages), entries, told, without)

    async def _told(self, entries: Sequence[E], attempt: Attempt) -> list[Outcome]:
        sizes = [self.size(entry) for entry in entries]
        entry_max = self._limits.entry_bytes_max
        told = {n: TOO_LARGE for n, size in enumerate(sizes) if size > entry_max}
        fitting = [n for n in range(len(entries)) if n not in told]

        async def ask(part: Sequence[int]) -> Answered:
            return await self.ask([entries[n] for n in part], attempt)

        ended: Outcome | None = None
        for part in parts([sizes[n] for n in fitting], self._limits.entries_max, self._limits.bytes_max):
            places = fitting[part]
            outcomes = [ended] * len(places) if ended else await asked(places, ask, attempt.deadline.in_time)
            told.update(zip(places, outcomes, strict=True))
            ended = ended or next((outcome for outcome in outcomes if is_destinations(outcome)), None)
        return [told[n] for n in range(len(entries))]

    @abstractmethod
    def collect(self, messages: Sequence[Message]) -> tuple[Sequence[E], dict[int, Outcome]]:
        """The entries that messages make, and the messages that make none, with the reason. Test messages make none."""

    @abstractmethod
    async def ask(self, entries: Sequence[E], attempt: Attempt) -> Answered:
        """Make one request."""

    @abstractmethod
    async def check(self, attempt: Attempt) -> Outcome:
        """Whether it would work."""

    @abstractmethod
    def size(self, entry: E) -> int:
        """Bytes that the entry takes in a request."""


class StateSink(BatchSink[Record]):
    def __init__(self, identity: str, properties: Mapping[str, str], limits: Limits, timeout_s: float) -> None:
        super().__init__(limits, timeout_s)
        self._identity = identity
        self._properties = properties

    def collect(self, messages: Sequence[Message]) -> tuple[Sequence[Record], dict[int, Outcome]]:
        return records_of(messages, self._identity, self._properties)
