"""Records in batches: which messages make which record, how many fit one request, and what a refusal is whose fault.

Theory of operation. A state sink keeps one record per account. What a batch of messages says of a record is put
together in their order, so that a request names no record twice; each message then ends as the worst of its records.

Some providers refuse a whole request for one bad record and do not say which. `asked` then halves the request until
the bad one stands alone; the good ones get through on the way. That takes at most `REQUESTS_MAX` requests and the
time of one delivery: what is left is `PUT_OFF`, which is no attempt. The first half goes first, so that every call
settles some records and the next one has fewer.

A failure that is the destination's (it is unwell, throttles, refuses the credentials) ends the asking: the rest ends
the same way without being sent.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from streams.connectors.fields import Scalar, identity_of, written
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind, Scope, ok, throttled

REQUESTS_MAX: Final = 32
PUT_OFF_S: Final = 1.0
PUT_OFF: Final = throttled(PUT_OFF_S, "put_off", Scope.ACCOUNT)
NO_ACCOUNT: Final = Outcome(OutcomeKind.REJECTED, "account_unknown")
NO_TRANSITION: Final = Outcome(OutcomeKind.REJECTED, "no_transition")
NOTHING: Final = Outcome(OutcomeKind.REJECTED, "nothing_to_write")

WITHOUT_TRANSITIONS: Final = frozenset({MessageKind.LIST, MessageKind.TEST})
"""A list's items are members, not transitions: they say nothing of what changed."""

WORST_FIRST: Final = (
    OutcomeKind.AUTH,
    OutcomeKind.RETRY_DESTINATION,
    OutcomeKind.AMBIGUOUS,
    OutcomeKind.THROTTLED,
    OutcomeKind.RETRY_RECORD,
    OutcomeKind.GONE,
    OutcomeKind.REJECTED,
    OutcomeKind.OK,
)
"""What is tried again comes before what is not: a rejection stands at the next attempt as well."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was refused as a whole; any of its records may be the reason."""

    outcome: Outcome


Answered = Refused | Sequence[Outcome]
"""One outcome for each record asked about, in their order, or a refusal of them all."""


class Entry(Protocol):
    """One thing in a request."""

    messages: list[int]
    """Places of the messages that it is for."""


@dataclass(slots=True)
class Record:
    """What is written about one account."""

    key: str
    trace: str = ""
    """Tells it apart from the other records of its batch: its first delivery's id, a colon, its number."""
    fields: dict[str, Scalar] = field(default_factory=dict)
    messages: list[int] = field(default_factory=list)
    """Places of the messages that speak of it."""


def records_of(
    messages: Sequence[Message], identity: str, properties: Mapping[str, str]
) -> tuple[list[Record], dict[int, Outcome]]:
    """The records that messages write, each key once, and the messages that write none, with the reason."""
    records: dict[str, Record] = {}
    without: dict[int, Outcome] = {}
    for place, message in enumerate(messages):
        if message.kind in WITHOUT_TRANSITIONS or not message.transition:
            without[place] = NO_TRANSITION
            continue
        for item in sorted(message.items or (message.transition,), key=_sequence):
            leading = item.get("account_id") == message.transition.get("account_id")
            key = identity_of(identity, item, message.facts if leading else {})
            if key is None:
                without[place] = NO_ACCOUNT
                continue
            record = records.setdefault(key, Record(key, f"{message.delivery_id}:{len(records)}"))
            record.fields.update(written(properties, message, item))
            if place not in record.messages:
                record.messages.append(place)
    filled = [record for record in records.values() if record.fields]
    written_to = {place for record in filled for place in record.messages}
    without |= {n: NOTHING for n in range(len(messages)) if n not in written_to and n not in without}
    return filled, without


def _sequence(item: Mapping[str, Any]) -> int:
    """Transitions of one account are numbered: the last one is what it is now."""
    number = item.get("sequence")
    return number if isinstance(number, int) else 0


def outcomes_of(
    count: int, entries: Sequence[Entry], told: Sequence[Outcome], without: Mapping[int, Outcome]
) -> list[Outcome]:
    """Each message's outcome: the worst of its entries'."""
    found: list[list[Outcome]] = [[] for _ in range(count)]
    for place, outcome in without.items():
        found[place].append(outcome)
    for entry, outcome in zip(entries, told, strict=True):
        for place in entry.messages:
            found[place].append(outcome)
    return [worst(outcomes) for outcomes in found]


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    return min(outcomes, key=lambda outcome: WORST_FIRST.index(outcome.kind)) if outcomes else ok()


def parts(sizes: Sequence[int], count_max: int, bytes_max: int) -> Iterator[slice]:
    """Cut a row of records into requests: at most so many records, at most so many bytes, each at least one record."""
    start = total = 0
    for place, size in enumerate(sizes):
        if place > start and (place - start >= count_max or total + size > bytes_max):
            yield slice(start, place)
            start, total = place, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))


async def asked(
    records: Sequence[T], ask: Callable[[Sequence[T]], Awaitable[Answered]], in_time: Callable[[], bool]
) -> list[Outcome]:
    """Ask about all records, in smaller requests where a request is refused as a whole."""
    outcomes = [PUT_OFF] * len(records)
    waiting = [range(len(records))] if records else []
    for _ in range(REQUESTS_MAX):
        if not waiting or not in_time():
            break
        part = waiting.pop()
        answer = await ask(records[part.start : part.stop])
        if isinstance(answer, Refused):
            if len(part) == 1:
                outcomes[part.start] = answer.outcome
            else:
                middle = part.start + len(part) // 2
                waiting += (range(middle, part.stop), range(part.start, middle))
            continue
        outcomes[part.start : part.stop] = answer
        ended = next((outcome for outcome in answer if is_destinations(outcome)), None)
        if ended is not None:
            for rest in waiting:
                outcomes[rest.start : rest.stop] = [ended] * len(rest)
            break
    return outcomes


def is_destinations(outcome: Outcome) -> bool:
    """Whether the outcome is about the destination, and so about whatever would be sent next."""
    if outcome.kind is OutcomeKind.THROTTLED:
        return outcome.scope is Scope.DESTINATION
    return outcome.kind in {
        OutcomeKind.AUTH,
        OutcomeKind.RETRY_DESTINATION,
        OutcomeKind.AMBIGUOUS,
        OutcomeKind.GONE,
    }


def unsent(outcome: Outcome) -> Outcome:
    """The outcome of a delivery whose request before the last one failed: what matters was never sent."""
    return Outcome(OutcomeKind.RETRY_DESTINATION, outcome.detail) if outcome.kind is OutcomeKind.AMBIGUOUS else outcome
