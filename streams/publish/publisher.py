"""Publish files of events and wait until Kafka has every record.

The producer is idempotent: neither a retry nor a reconnect doubles or reorders a partition's records. It places keys
like Java's clients and Pegel's own stages do (murmur2), so a key's records are where everybody looks for them. Its
queue is bounded: when it is full, reading waits. A record counts as published when its delivery report says so.
"""

import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Final

from schemas.trace import TraceContext, carried
from streams.errors import SettingsError
from streams.kafka_client import Complaints, absent, is_mock_cluster, producer, reaching, timeout_s
from streams.publish.pace import Pace, Schedule, Survey, schedule
from streams.publish.record import BadLineError, BadLineReason, EventLine, KeyKind, read_event
from streams.publish.shift import shifted
from streams.replay.lines import STDIN, Line, LineReader, UnreadableError
from streams.settings import KafkaSettings
from streams.topics import CLOCK_AHEAD_MAX_MS, EVENT_BATCH_BYTES_MAX
from streams.tracing.outbox import SpanOutbox
from streams.tracing.spans import Span, SpanKind, Topic, place

QUEUED_RECORDS_MAX: Final = 100_000
QUEUED_KIB_MAX: Final = 64 * 1024
LINGER_MS: Final = 10
PROGRESS_EVERY_S: Final = 0.1
QUEUE_WAIT_S: Final = 0.1
FLUSH_SLICE_S: Final = 0.2
# How long records may wait for a broker that is gone before they count as failed.
DELIVERY_TIMEOUT_MS: Final = 120_000
FAILURE_REASONS_MAX: Final = 20
TRACES_KEPT_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class PublishOrder:
    """What to publish, where and how."""

    files: Sequence[str]
    topic: str
    key: KeyKind = KeyKind.USER
    pace: Pace = field(default_factory=Pace)
    shift_to_now: bool = False
    trace_share: float = 0.0
    """Of the records, how many begin a trace: 0 to 1, drawn by lot."""

    @property
    def needs_survey(self) -> bool:
        return self.shift_to_now or self.pace.speed is not None


@dataclass(frozen=True, slots=True)
class Progress:
    """`fraction` of the input that has been read, None if its size is unknown; `arrival_ms` of the newest record."""

    delivered: int
    bytes_delivered: int
    bad_lines: int
    failed: int
    elapsed_s: float
    fraction: float | None
    arrival_ms: int | None


@dataclass(slots=True)
class PublishResult:
    """What became of every line: delivered, bad, or refused by Kafka, by reason."""

    delivered: int = 0
    bytes_delivered: int = 0
    bad_lines: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    traces: list[str] = field(default_factory=list)
    """Ids of the first traces that were begun."""
    elapsed_s: float = 0.0
    stopped: bool = False
    broken_off: str | None = None

    @property
    def complete(self) -> bool:
        return not (self.stopped or self.broken_off or self.bad_lines or self.failed)


def publish(
    kafka: KafkaSettings,
    order: PublishOrder,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_bad_line: Callable[[str, str], None] = lambda _place, _reason: None,
    stop: Event | None = None,
    spans: SpanOutbox | None = None,
) -> PublishResult:
    """Publish all lines and wait for their delivery; blocks. `stop` ends it early, with what was sent delivered."""
    with _readable(order) as (readable, names):
        plan = _surveyed(readable) if readable.needs_survey else None
        with reaching(kafka) as complaints:
            client = producer(kafka, complaints, producer_config())
            require_topic(client, kafka, complaints, readable.topic)
            run = _Run(client, readable, plan, stop or Event(), on_progress, spans)
            return run.run(lambda place, reason: on_bad_line(_shown(place, names), reason))


class _Run:
    """One pass over the lines with one producer."""

    def __init__(
        self,
        client: Any,
        order: PublishOrder,
        plan: Schedule | None,
        stop: Event,
        on_progress: Callable[[Progress], None],
        spans: SpanOutbox | None,
    ) -> None:
        self._client = client
        self._spans = spans
        self._order = order
        self._plan = plan
        self._stop = stop
        self._on_progress = on_progress
        self._result = PublishResult()
        self._started_s = time.monotonic()
        self._told_s = 0.0
        self._arrival_ms: int | None = None
        self._reader = LineReader(list(order.files))

    def run(self, on_bad_line: Callable[[str, str], None]) -> PublishResult:
        try:
            for line in self._reader:
                if self._stop.is_set():
                    break
                self._take(line, on_bad_line)
        except UnreadableError as error:  # what was read before is on its way all the same
            self._result.broken_off = str(error)
        while self._client.flush(FLUSH_SLICE_S):
            self._tell(now=True)
        self._result.stopped = self._stop.is_set()
        self._tell(now=True)
        return self._result

    def _take(self, line: Line, on_bad_line: Callable[[str, str], None]) -> None:
        try:
            event = read_event(line.raw, self._order.key)
        except BadLineError as bad:
            self._refuse(line, bad.reason, on_bad_line)
            return
        if self._lies_ahead(event.arrival_ms):
            self._refuse(line, BadLineReason.AHEAD, on_bad_line)
            return
        self._publish(line, event)

    def _lies_ahead(self, arrival_ms: int) -> bool:
        """Kafka refuses a record from the future, and with it the whole batch that it is in."""
        if self._order.shift_to_now:  # then it waits until it is due
            return False
        return arrival_ms > time.time() * 1_000 + CLOCK_AHEAD_MAX_MS

    def _refuse(self, line: Line, reason: BadLineReason, on_bad_line: Callable[[str, str], None]) -> None:
        self._result.bad_lines[reason.value] += 1
        on_bad_line(line.place, reason.value)

    def _publish(self, line: Line, event: EventLine) -> None:
        arrival_ms, value = event.arrival_ms, line.raw
        if self._plan is not None:
            self._await_due(self._plan.due_ms(arrival_ms))
            if self._stop.is_set():
                return
            if self._plan.shift_ms is not None:
                value = shifted(event.fields, self._plan.shift_ms)
                arrival_ms += self._plan.shift_ms
        self._arrival_ms = arrival_ms
        headers, on_delivery = self._traced()
        while True:
            try:
                self._client.produce(
                    self._order.topic, value, event.key, timestamp=arrival_ms, headers=headers, on_delivery=on_delivery
                )
                break
            except BufferError:  # the queue is full: let the network catch up
                self._client.poll(QUEUE_WAIT_S)
                self._tell()
        self._client.poll(0)
        self._tell()

    def _traced(self) -> tuple[list[tuple[str, bytes]], Callable[[Any, Any], None]]:
        """The headers of a record, and who takes its delivery report; most records begin no trace."""
        order, spans = self._order, self._spans
        if not order.trace_share or random.random() >= order.trace_share:  # noqa: S311 - a sample is no secret
            return [], self._delivered
        context = TraceContext(secrets.token_hex(16), secrets.token_hex(8))
        if len(self._result.traces) < TRACES_KEPT_MAX:
            self._result.traces.append(context.trace_id)
        began_ns = time.time_ns()

        def delivered(error: Any, message: Any) -> None:
            self._delivered(error, message)
            if spans is not None:
                spans.give([_sent(order.topic, context, began_ns, error, message)])

        return carried(context, None), delivered

    def _await_due(self, due_ms: int | None) -> None:
        while due_ms is not None and not self._stop.is_set():
            wait_s = due_ms / 1_000 - time.time()
            if wait_s <= 0:
                return
            self._client.poll(min(wait_s, PROGRESS_EVERY_S))
            self._tell()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is None:
            self._result.delivered += 1
            self._result.bytes_delivered += len(message)
            return
        reason = str(error.str())
        known = reason in self._result.failed or len(self._result.failed) < FAILURE_REASONS_MAX
        self._result.failed[reason if known else "other"] += 1

    def _tell(self, *, now: bool = False) -> None:
        at_s = time.monotonic()
        if not now and at_s - self._told_s < PROGRESS_EVERY_S:
            return
        self._told_s = at_s
        result = self._result
        result.elapsed_s = at_s - self._started_s
        total = self._reader.bytes_total
        self._on_progress(
            Progress(
                delivered=result.delivered,
                bytes_delivered=result.bytes_delivered,
                bad_lines=result.bad_lines.total(),
                failed=result.failed.total(),
                elapsed_s=result.elapsed_s,
                fraction=self._reader.bytes_read / total if total else None,
                arrival_ms=self._arrival_ms,
            )
        )


def _sent(topic: str, context: TraceContext, began_ns: int, error: Any, message: Any) -> Span:
    """The span that everything else in the trace comes from."""
    attributes = Topic(topic).attributes("send")
    if error is None:
        attributes |= place(message.partition(), message.offset())
    failed = None if error is None else "not_taken"
    ended_ns = max(time.time_ns(), began_ns)
    return Span(f"send {topic}", SpanKind.PRODUCER, context, None, began_ns, ended_ns, attributes, failed=failed)


def producer_config() -> dict[str, Any]:
    """Of every producer that brings events in from outside: idempotent, and keys placed as everybody places them."""
    return {
        "enable.idempotence": True,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "linger.ms": LINGER_MS,
        "queue.buffering.max.messages": QUEUED_RECORDS_MAX,
        "queue.buffering.max.kbytes": QUEUED_KIB_MAX,
        "message.max.bytes": EVENT_BATCH_BYTES_MAX,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
    }


def require_topic(client: Any, kafka: KafkaSettings, complaints: Complaints, topic: str) -> None:
    """All topics are asked for: to ask for one by name may make it, cut in another way than Pegel needs it."""
    metadata = client.list_topics(timeout=timeout_s(kafka))
    if topic not in metadata.topics and not is_mock_cluster(metadata):
        raise absent(kafka, complaints, topic)


@contextmanager
def _readable(order: PublishOrder) -> Iterator[tuple[PublishOrder, dict[str, str]]]:
    """The order with files that can be read as often as needed, and what to call those that are copies."""
    try:
        if not (order.needs_survey and STDIN in order.files):
            yield order, {}
            return
        with TemporaryDirectory(prefix="pegel-publish-") as folder:
            spool = Path(folder, "stdin")
            with spool.open("wb") as copy:
                copyfileobj(sys.stdin.buffer, copy)
            files = [str(spool) if name == STDIN else name for name in order.files]
            yield replace(order, files=files), {str(spool): "<stdin>"}
    except FileNotFoundError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}; name a file that can be read") from None


def _surveyed(order: PublishOrder) -> Schedule | None:
    """The schedule, or None if no line can be published."""
    survey = Survey()
    for line in LineReader(list(order.files)):
        try:
            survey.add(read_event(line.raw, order.key).arrival_ms)
        except BadLineError:
            continue  # reported when it would be published
    if survey.count == 0:
        return None
    return schedule(survey, order.pace, time.time_ns() // 1_000_000, shift_to_now=order.shift_to_now)


def _shown(place: str, names: dict[str, str]) -> str:
    file, _, number = place.rpartition(":")
    return f"{names.get(file, file)}:{number}"


__all__ = ["Progress", "PublishOrder", "PublishResult", "publish"]
