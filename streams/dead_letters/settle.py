"""Retry and drop: original records and marks, in Kafka transactions, each dead letter once.

Theory of operation. One transactional id for a deployment: to begin fences whoever was at it before, whose open
transaction is aborted. Only then the marks are read, so nothing that the other one committed is missed; and nothing
more can be committed by him. What follows is exact:

    fence -> read the marks -> for each letter that fits and has no mark: [ original record + mark ] in a transaction

A crash leaves a transaction open, which the next start aborts: its letters have neither record nor mark, and are still
open. Running a command twice does nothing the second time. Letters that arrive meanwhile - a record that is tried again
may be refused again at once - lie beyond where the topics ended at the start, and are left for the next run.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from schemas.timestamps import format_ms
from streams.dead_letters.letters import Again, Letter, Selection, Verdict, again, sources, verdict
from streams.dead_letters.marks import NOTE_CHARS_MAX, WHO_CHARS_MAX, Action, Mark, Place, encode
from streams.dead_letters.store import Store
from streams.errors import ExpectedError
from streams.kafka_client import producer, reaching, timeout_s
from streams.security.roles import DEAD_LETTERS
from streams.settings import Settings
from streams.topics import Topics

TRANSACTION_TIMEOUT_S: Final = 30.0
LETTERS_AT_ONCE_MAX: Final = 200
BYTES_AT_ONCE_MAX: Final = 8 << 20
GONE_AT_ONCE_MAX: Final = 10_000
BATCH_BYTES_MAX: Final = 4 << 20
"""A record that was refused for its size is tried again in a batch of its own."""

FENCED_CODES: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - librdkafka's own codes begin with an underscore
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with the selected letters."""

    action: Action
    selection: Selection
    by: str
    note: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A selected letter, and what became of it. READY: it was done."""

    letter: Letter
    verdict: Verdict


def plan(settings: Settings, order: Order) -> Iterator[Settled]:
    """What carrying out an order would do now; nothing is written."""
    store = Store(settings.kafka)
    return _judged(
        order, Topics(settings.kafka.topic_prefix), store.letters(order.selection, store.marks(order.selection))
    )


def carry_out(settings: Settings, order: Order, note: Callable[[Settled], None] = lambda _: None) -> None:
    """Retry or drop. `note` hears of each letter after it was committed, and of those that were left alone."""
    topics = Topics(settings.kafka.topic_prefix)
    with reaching(settings.kafka) as complaints:
        config = {
            "transactional.id": topics.group(DEAD_LETTERS),
            "enable.idempotence": True,
            "message.max.bytes": BATCH_BYTES_MAX,
            "linger.ms": 5,
        }
        writer = _Writer(producer(settings.kafka, complaints, config), settings, order)
        with _fenced_is_expected():
            writer.begin()
            store = Store(settings.kafka)
            marks = store.marks(order.selection)
            extents = store.extents(order.selection)
            writer.forget(islice(marks.gone(extents), GONE_AT_ONCE_MAX))
            for settled in _judged(order, topics, store.letters(order.selection, marks, extents)):
                if settled.verdict is Verdict.READY:
                    writer.add(settled, note)
                else:
                    note(settled)
            writer.commit(note)


def _judged(order: Order, topics: Topics, letters: Iterator[Letter]) -> Iterator[Settled]:
    of = sources(topics)
    chosen = (letter for letter in letters if order.selection.fits(letter))
    for letter in islice(chosen, order.limit):
        found = verdict(letter, of[letter.place.topic])
        # Whatever lies there can be dropped, but once.
        yield Settled(letter, Verdict.READY if order.action is Action.DROPPED and letter.mark is None else found)


class _Writer:
    """Puts letters together until a transaction is full."""

    def __init__(self, client: Any, settings: Settings, order: Order) -> None:
        self._client = client
        self._settings = settings
        self._topics = Topics(settings.kafka.topic_prefix)
        self._order = order
        self._partitions: dict[str, int] = {}
        self._waiting: list[Settled] = []
        self._bytes = 0

    def begin(self) -> None:
        """Fence whoever was at it before."""
        self._client.init_transactions(TRANSACTION_TIMEOUT_S)

    def forget(self, places: Iterator[Place]) -> None:
        """Remove marks of letters that are gone."""
        keys = [str(place).encode() for place in places]
        if keys:
            self._in_transaction([(self._topics.dead_letter_marks, 0, key, None, [], None) for key in keys])

    def add(self, settled: Settled, note: Callable[[Settled], None]) -> None:
        size_bytes = len(settled.letter.value or b"") if self._order.action is Action.RETRIED else 0
        if len(self._waiting) >= LETTERS_AT_ONCE_MAX or self._bytes + size_bytes > BYTES_AT_ONCE_MAX:
            self.commit(note)
        self._waiting.append(settled)
        self._bytes += size_bytes

    def commit(self, note: Callable[[Settled], None]) -> None:
        if not self._waiting:
            return
        records: list[tuple[Any, ...]] = []
        for settled in self._waiting:
            letter = settled.letter
            if self._order.action is Action.RETRIED:
                one = self._again(letter)
                records.append((one.topic, one.partition, one.key, one.value, list(one.headers), one.at_ms))
            mark = self._mark(letter)
            records.append((self._topics.dead_letter_marks, 0, str(letter.place).encode(), encode(mark), [], None))
        self._in_transaction(records)
        done, self._waiting, self._bytes = self._waiting, [], 0
        for settled in done:
            note(settled)

    def _again(self, letter: Letter) -> Again:
        source = sources(self._topics)[letter.place.topic]
        if source not in self._partitions:
            known = self._client.list_topics(timeout=timeout_s(self._settings.kafka)).topics.get(source)
            if known is None:
                raise ExpectedError(f"there is no topic {source} to try it again in; see: pegel topics show")
            self._partitions[source] = len(known.partitions)
        return again(letter, self._topics, self._partitions[source])

    def _mark(self, letter: Letter) -> Mark:
        order = self._order
        at = format_ms(time.time_ns() // 1_000_000)
        return Mark(order.action, letter.at_ms, at, order.by[:WHO_CHARS_MAX], order.note[:NOTE_CHARS_MAX])

    def _in_transaction(self, records: list[tuple[Any, ...]]) -> None:
        client = self._client
        client.begin_transaction()
        failures: list[Any] = []
        try:
            for topic, partition, key, value, headers, at_ms in records:
                client.produce(
                    topic,
                    value,
                    key,
                    partition=partition,
                    headers=headers,
                    timestamp=0 if at_ms is None else at_ms,
                    on_delivery=lambda error, _: failures.append(error) if error is not None else None,
                )
                client.poll(0)
            client.commit_transaction(TRANSACTION_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in FENCED_CODES and error.args[0].txn_requires_abort():
                client.abort_transaction(TRANSACTION_TIMEOUT_S)
            if failures:
                raise ExpectedError(
                    f"nothing of these {len(records)} records was written: {failures[0].str()}"
                ) from None
            raise


@contextmanager
def _fenced_is_expected() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() not in FENCED_CODES:
            raise
        raise ExpectedError(
            "another 'pegel dlq retry' or 'drop' began after this one, which ends here; what it had committed "
            "stays done, and nothing is done twice. See: pegel dlq list --all"
        ) from None
