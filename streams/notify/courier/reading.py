"""What the courier reads beside its input: rows of the changelog that memory had no room for, and who is in a segment.

Both are a topic read to its end in a thread of its own, committed records only, and kept as far as is wanted: the first
so many deliveries (`outbox.First`), or the members of one segment. Neither holds up a delivery meanwhile.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from confluent_kafka import KafkaException

from schemas.canary import is_canary
from schemas.membership import decode_membership
from schemas.timestamps import parse_ms
from streams.dumping import TopicReader
from streams.errors import ExpectedError
from streams.notify.courier.outbox import First, Found, Wanted
from streams.notify.courier.rows import Kind, SpillRow, decode, decode_delivery, key_of, order_of
from streams.notify.plan.planner import RosterMember, RosterRequest
from streams.settings import KafkaSettings
from streams.topics import Topics

MEMBERS_MAX: Final = 100_000
"""Members of a segment that a list chooses from; of a larger one, those that come first in the topic."""


class Readings(Protocol):
    """What the stage of a partition may have read; each call blocks and is made in a thread."""

    def spilled(self, wanted: Wanted) -> Found: ...
    def members(self, request: RosterRequest) -> list[RosterMember]: ...
    def stop(self) -> None:
        """End what is under way soon; its result is wanted no more."""
        ...


class Record(Protocol):
    """A record as the client gives it."""

    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...


class StoppedError(Exception):
    """The reading was stopped."""


class BrokenOffError(ExpectedError):
    """Kafka did not go on answering; it may by and by."""


class KafkaReadings:
    def __init__(self, kafka: KafkaSettings, topics: Topics, partition: int) -> None:
        self._kafka = kafka
        self._topics = topics
        self._partition = partition
        self._stopped = threading.Event()

    def spilled(self, wanted: Wanted) -> Found:
        return spilled_in(self._records(self._topics.deliveries_changelog, [self._partition]), wanted)

    def members(self, request: RosterRequest) -> list[RosterMember]:
        return members_in(self._records(self._topics.membership, None), request.segment)

    def stop(self) -> None:
        self._stopped.set()

    def _records(self, topic: str, partitions: Sequence[int] | None) -> Iterator[Record]:
        try:
            for record in TopicReader(self._kafka, topic, partitions).records():
                if self._stopped.is_set():
                    raise StoppedError
                yield record
        except KafkaException as error:
            raise BrokenOffError(f"reading {topic} broke off: {error.args[0].str()}") from None


def partitions_of(kafka: KafkaSettings, topic: str) -> int:
    """How many a topic has; blocks."""
    return len(TopicReader(kafka, topic).extents())


def spilled_in(records: Iterable[Record], wanted: Wanted) -> Found:
    """The first deliveries of a destination from an order on, out of its changelog."""
    first = First(wanted.most, wanted.from_order)
    deliveries = key_of(Kind.DELIVERY, wanted.destination)
    spill, until = key_of(Kind.SPILL, wanted.destination), None
    for record in records:
        key, value = record.key() or b"", record.value()
        if key == spill:
            until = None if value is None else decode(value, SpillRow).until
        elif key.startswith(deliveries):
            name = key[len(deliveries) :].decode()
            if value is None:
                first.remove(name)
            else:
                first.put(name, order_of(value), value)
    found = tuple(decode_delivery(wanted.destination, name, row) for name, row in first.rows())
    return Found(found, first.evicted, first.evicted_from is None, until)


def members_in(records: Iterable[Record], segment: str, most: int = MEMBERS_MAX) -> list[RosterMember]:
    """Who is in a segment, as the membership topic says last of each account."""
    found: dict[str, RosterMember] = {}
    word = segment.encode()
    for record in records:
        account, value = (record.key() or b"").decode("utf-8", "replace"), record.value()
        # Most records are about other segments, and cheaper to pass over than to read; the canary is on no list.
        member = _member(value, segment) if value is not None and word in value and not is_canary(account) else None
        if member is None:
            found.pop(account, None)
        elif account in found or len(found) < most:
            found[account] = member
    return list(found.values())


def _member(value: bytes, segment: str) -> RosterMember | None:
    membership = decode_membership(value)
    for one in membership.segments:
        if one.segment == segment:
            entered_at_ms = parse_ms(one.entered_at)
            assert entered_at_ms is not None
            return RosterMember(membership.account_id, entered_at_ms, membership.key_numbers, group=one.group)
    return None
