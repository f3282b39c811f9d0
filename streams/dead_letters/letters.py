"""A dead letter as it lies in its topic, which ones are meant, and what trying one again would write.

Everything here is pure. Tried again is the original record: its key, its value, its headers and its Kafka timestamp, in
its topic, and two headers that tell the next dead letter, should there be one, since when and how often. A retried
transition carries the id of the one delivery that failed, and where; the notifier repeats that one alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from pydantic import ValidationError

from schemas.dead_letter import (
    DELIVERY_HEADER,
    DESTINATION_HEADER,
    PLAY_HEADER,
    RETRY_DELIVERY_HEADER,
    DeadLetter,
    RejectReason,
)
from schemas.timestamps import parse_ms
from streams.dead_letters.marks import Action, Mark, Place
from streams.runtime.dead_letters import HEADER_OVERHEAD_BYTES, original_headers, retry_headers
from streams.runtime.partitioner import partition_of
from streams.topics import EVENT_BATCH_BYTES_MAX, Topics

Headers = Sequence[tuple[str, bytes | None]]

RETRIED_BYTES_MAX: Final = EVENT_BATCH_BYTES_MAX - 1_024
"""What fits into a batch of its own, whatever little is around it."""


class State(StrEnum):
    OPEN = "open"
    RETRIED = "retried"
    DROPPED = "dropped"


class Verdict(StrEnum):
    """Whether a dead letter can be tried again, or why not."""

    READY = "ready"
    ALREADY_RETRIED = "already_retried"
    ALREADY_DROPPED = "already_dropped"
    NO_DEAD_LETTER = "no_dead_letter"
    OF_ANOTHER_TOPIC = "of_another_topic"
    NOT_WHOLE = "not_whole"
    TOO_LARGE = "too_large"


@dataclass(frozen=True)
class Letter:
    """A record of a dead-letter topic. `at_ms` is when it was refused; `told` is None if it is no dead letter."""

    place: Place
    at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    mark: Mark | None = None

    @cached_property
    def told(self) -> DeadLetter | None:
        try:
            return DeadLetter.from_headers(self.headers)
        except ValidationError:
            return None

    @property
    def state(self) -> State:
        if self.mark is None:
            return State.OPEN
        return State.RETRIED if self.mark.action is Action.RETRIED else State.DROPPED


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is empty or None does not restrict. Times are those of the refusal."""

    topics: Collection[str]
    places: Collection[Place] = ()
    reasons: Collection[RejectReason] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    every_state: bool = False

    def fits(self, letter: Letter) -> bool:
        told = letter.told
        return (
            (self.every_state or letter.state is State.OPEN)
            and (not self.places or letter.place in self.places)
            and (not self.reasons or (told is not None and told.reason in self.reasons))
            and (self.since_ms is None or letter.at_ms >= self.since_ms)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
        )


@dataclass(frozen=True, slots=True)
class Again:
    """The original record, to be written once more."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at_ms: int


def sources(topics: Topics) -> dict[str, str]:
    """The dead-letter topics, each with the topic whose records it takes."""
    return {
        topics.product_events_dlq: topics.product_events,
        topics.account_events_dlq: topics.account_events,
        topics.transitions_dlq: topics.transitions,
    }


def verdict(letter: Letter, source: str) -> Verdict:
    """Whether a letter can be tried again in its source topic. Headers are anybody's: they name no other topic."""
    if letter.state is not State.OPEN:
        return Verdict.ALREADY_RETRIED if letter.state is State.RETRIED else Verdict.ALREADY_DROPPED
    told = letter.told
    if told is None or _original_ms(told) is None:
        return Verdict.NO_DEAD_LETTER
    if told.original_topic != source:
        return Verdict.OF_ANOTHER_TOPIC
    if not told.whole:
        return Verdict.NOT_WHOLE
    # It came in compressed. One record that no broker takes would hold up those that go in its transaction.
    return Verdict.READY if _size_bytes(letter) <= RETRIED_BYTES_MAX else Verdict.TOO_LARGE


def again(letter: Letter, topics: Topics, partitions: int) -> Again:
    """What trying a letter again writes into its source topic of so many partitions; its verdict must be READY."""
    source = sources(topics)[letter.place.topic]
    told = letter.told
    assert told is not None
    at_ms = _original_ms(told)
    assert at_ms is not None
    headers: list[tuple[str, bytes | None]] = [*original_headers(letter.headers), *retry_headers(told)]
    if source == topics.transitions:
        headers = _told_once(headers, dict(letter.headers))
    partition = told.original_partition
    # Product events lie where their producer put them. All else belongs where its key says, however many partitions
    # there are by now; control records have no key, and are of their partition.
    if letter.key is not None and (source != topics.product_events or partition >= partitions):
        partition = partition_of(letter.key, partitions)
    return Again(source, partition % partitions, letter.key, letter.value, headers, at_ms)


def _told_once(
    headers: list[tuple[str, bytes | None]], failed: Mapping[str, bytes | None]
) -> list[tuple[str, bytes | None]]:
    """Where a transition failed, and which delivery of it: the notifier tries that again and nothing else."""
    where = {
        RETRY_DELIVERY_HEADER: failed.get(DELIVERY_HEADER),
        DESTINATION_HEADER: failed.get(DESTINATION_HEADER),
        PLAY_HEADER: failed.get(PLAY_HEADER),
    }
    said = [(name, value) for name, value in where.items() if value is not None]
    return [pair for pair in headers if pair[0] not in dict(said)] + said


def _size_bytes(letter: Letter) -> int:
    headers = sum(len(name.encode()) + len(value or b"") + HEADER_OVERHEAD_BYTES for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def _original_ms(told: DeadLetter) -> int | None:
    # Dead letters of earlier versions say the record's own timestamp as `first_seen` alone.
    return parse_ms(told.original_timestamp or told.first_seen)
