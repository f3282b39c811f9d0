"""One stay of the canary at the brokers: publishes what `Watch` says, reads what becomes visible, follows the catalog.

Theory of operation. One thread, one producer, one consumer. The consumer belongs to no group and commits nothing. It
reads `segments.transitions.v1` from its present end on, read committed, so that what it sees is what any reader sees;
and `segments.catalogs.v1` from its beginning, whose newest record is the catalog in force. Nothing is published before
that is known, and the ends are asked for before that: no transition slips through before anybody looks.

While the brokers are away librdkafka tries again, and what is not seen in time is missed: the canary does not ask why.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaException, TopicPartition
from pydantic import ValidationError

from schemas.canary import is_canary_key
from schemas.catalog import Catalog
from schemas.transition import decode_transition
from streams import log_events
from streams.canary.accounts import accounts
from streams.canary.crossing import Crossing, advice, choose
from streams.canary.report import Report
from streams.canary.watch import Errand, Rhythm, Watch
from streams.canary.ways import event_of
from streams.engine.program import compile_catalog
from streams.engine.rules.errors import CatalogError
from streams.kafka_client import DENIED_CODES, Complaints, absent, consumer, producer, reaching, timeout_s
from streams.kafka_reading import is_end, once_led, reader_config
from streams.publish.publisher import producer_config
from streams.runtime.options import Guarantee
from streams.settings import Settings
from streams.topics import Topics

CONSUMER: Final = "pegel-canary"
POLL_S: Final = 0.05
FETCH_WAIT_MS: Final = 100
QUEUED_EVENTS_MAX: Final = 10_000
CATALOGS_PARTITION: Final = 0


class Session:
    """`run_id` tells this run's events from those of earlier ones."""

    def __init__(self, settings: Settings, name: str, run_id: str, rhythm: Rhythm, report: Report) -> None:
        self._settings = settings
        self._kafka = settings.kafka
        self._topics = Topics(settings.kafka.topic_prefix)
        self._name = name
        self._run_id = run_id
        self._rhythm = rhythm
        self._report = report
        self._accounts: tuple[str, ...] = ()
        self._newest_catalog: bytes | None = None
        self._crossing: Crossing | None = None
        self._published_ms = 0
        self._denied: KafkaException | None = None

    def run(self, going_on: Callable[[], bool]) -> None:
        """As long as `going_on` says so each time round.

        Raises:
            ExpectedError, KafkaException: the brokers cannot be worked with.
        """
        with ExitStack() as stack, reaching(self._kafka) as complaints:
            client = consumer(self._kafka, complaints, {**reader_config(CONSUMER), "fetch.wait.max.ms": FETCH_WAIT_MS})
            stack.callback(client.close)
            self._begin(client, complaints)
            repeats = self._settings.runtime.guarantee is Guarantee.AT_LEAST_ONCE
            watch = Watch(self._accounts, self._rhythm, self._run_id, time.monotonic(), repeats=repeats)
            events = producer(self._kafka, complaints, self._producer_config())
            while going_on():
                for errand in watch.due(time.monotonic()):
                    self._publish(events, errand)
                events.poll(0)
                if self._denied is not None:
                    raise self._denied
                message = client.poll(POLL_S)
                if message is not None:
                    self._read(message, watch)
                for verdict in watch.expired(time.monotonic()):
                    self._report.ended(verdict)

    def _begin(self, client: Any, complaints: Complaints) -> None:
        """Take up positions: each partition of the transitions at its end, the catalogs at their beginning."""
        topics = client.list_topics(timeout=timeout_s(self._kafka)).topics
        own = self._topics
        for needed in (own.product_events, own.account_events, own.transitions, own.catalogs):
            if needed not in topics:
                raise absent(self._kafka, complaints, needed)
        self._accounts = accounts(self._name, len(topics[self._topics.account_events].partitions))
        self._report.begun(len(self._accounts))
        places = [
            TopicPartition(self._topics.catalogs, CATALOGS_PARTITION, self._extent(client, self._topics.catalogs, 0)[0])
        ]
        for partition in sorted(topics[self._topics.transitions].partitions):
            end = self._extent(client, self._topics.transitions, partition)[1]
            places.append(TopicPartition(self._topics.transitions, partition, end))
        client.assign(places)

    def _extent(self, client: Any, topic: str, partition: int) -> tuple[int, int]:
        """First offset and end."""
        place, patience_s = TopicPartition(topic, partition), timeout_s(self._kafka)
        low, end = once_led(client, self._kafka, lambda: client.get_watermark_offsets(place, timeout=patience_s))
        return int(low), int(end)

    def _producer_config(self) -> dict[str, Any]:
        return {
            **producer_config(),
            "linger.ms": 0,
            "queue.buffering.max.messages": QUEUED_EVENTS_MAX,
            # What nobody waits for any more need not be sent.
            "delivery.timeout.ms": max(1_000, round(self._rhythm.timeout_s * 1_000)),
        }

    def _publish(self, events: Any, errand: Errand) -> None:
        assert self._crossing is not None, "without one nothing is due"
        # The newest fact counts, by its own time: no event of ours may be older than the one before.
        self._published_ms = max(self._published_ms, time.time_ns() // 1_000_000)
        value = event_of(self._crossing.way, errand.side, errand.account, errand.message_id, self._published_ms)
        try:
            events.produce(
                self._topics.product_events, value, errand.account.encode(), timestamp=self._published_ms,
                on_delivery=self._delivered,
            )  # fmt: skip
        except BufferError:
            self._report.at_work(up=False)  # the brokers take nothing; what is not sent will be missed

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None and error.code() in DENIED_CODES:
            self._denied = KafkaException(error)  # what is raised here would be lost in the client
        self._report.at_work(up=error is None and self._crossing is not None)

    def _read(self, message: Any, watch: Watch) -> None:
        if is_end(message):
            if message.topic() == self._topics.catalogs:
                self._follow(watch)
        elif message.topic() == self._topics.catalogs:
            self._newest_catalog = message.value() or self._newest_catalog
        elif is_canary_key(message.key()):
            verdict = watch.take(decode_transition(message.value()), time.monotonic())
            if verdict is not None:
                self._report.ended(verdict)

    def _follow(self, watch: Watch) -> None:
        """All catalogs were read, and the last one is in force."""
        if self._newest_catalog is None:
            log_events.CANARY_IDLE.tell(reason="there is no catalog yet; has a worker of engagement ever run?")
            return
        self._crossing = _crossing_under(self._newest_catalog)
        watch.adopt(self._crossing)
        if self._crossing is None:
            self._report.at_work(up=False)


def _crossing_under(content: bytes) -> Crossing | None:
    try:
        program = compile_catalog(Catalog.model_validate(json.loads(content)), "the catalog in force")
    except (msgspec.DecodeError, ValueError, ValidationError, CatalogError) as error:
        log_events.CANARY_IDLE.tell(reason=f"the catalog in force cannot be used: {error}")
        return None
    crossing = choose(program)
    if crossing is None:
        log_events.CANARY_IDLE.tell(reason=advice(program))
    else:
        log_events.CANARY_CROSSES.tell(
            segment=crossing.segment, trigger=crossing.way.value, catalog=crossing.catalog_version
        )
    return crossing
