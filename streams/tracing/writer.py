"""Spans of a stage's work on records: from their application to the commit that makes their results visible.

Theory of operation. The writer of a partition sees both ends. `applying` notes which of a batch's records are traced;
`write` takes what is noted together with the transaction - nothing is awaited between a partition's capture and this
call, so these are the records that the transaction holds - and hands their spans out once it has committed. A record
that became a dead letter has a failed span; one that led to transitions names them.

So many records are noted at most; of more, spans are counted as lost.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.dead_letter import ORIGINAL_OFFSET_HEADER, REASON_HEADER
from schemas.trace import context_of
from streams.runtime.stage import InputRecord, Output
from streams.runtime.transaction import Transaction, Writer
from streams.tracing.follow import Followed, followed
from streams.tracing.spans import ITEMS_MAX, Span, SpanKind, Topic, Value, bounded, place

NOTED_MAX: Final = 500
TRANSITION_HEADER: Final = "ce_id"
DEAD_LETTERS_SUFFIX: Final = ".dlq"


@dataclass(slots=True)
class Noted:
    """A traced record that was applied."""

    work: Followed
    offset: int
    start_ns: int
    transition_id: str | None
    led_to: list[str] = field(default_factory=list)
    refused: str | None = None


class TracedWriter:
    """A writer that hands out spans of what it has committed; see `streams.runtime.transaction.Writer`."""

    def __init__(
        self,
        writer: Writer,
        stage: str,
        topic: Topic,
        partition: int,
        give: Callable[[Iterable[Span]], None],
        lose: Callable[[int], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._writer = writer
        self._stage = stage
        self._topic = topic
        self._partition = partition
        self._give = give
        self._lose = lose
        self._now_ns = now_ns
        self._noted: list[Noted] = []

    @property
    def commit_took_s(self) -> float:
        return self._writer.commit_took_s

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    @property
    def may_hang(self) -> bool:
        return self._writer.may_hang

    async def end_hanging(self) -> None:
        await self._writer.end_hanging()

    def applying(self, records: Sequence[InputRecord]) -> None:
        """Note what is traced."""
        start_ns = 0
        for record in records:
            headers = record.headers
            if not headers or (work := followed(self._stage, self._partition, record.offset, headers)) is None:
                continue
            if len(self._noted) >= NOTED_MAX:
                self._lose(1)
                continue
            start_ns = start_ns or self._now_ns()
            self._noted.append(Noted(work, record.offset, start_ns, _text(headers, TRANSITION_HEADER)))

    async def write(self, transaction: Transaction) -> None:
        noted, self._noted = self._noted, []
        await self._writer.write(transaction)
        if noted:
            self._match(noted, transaction.outputs)
            end_ns = self._now_ns()
            self._give([self._span(one, end_ns) for one in noted])
        if transaction.spans:
            self._give(transaction.spans)

    def _match(self, noted: Sequence[Noted], outputs: Iterable[Output]) -> None:
        """Find what became of records among the outputs."""
        by_span = {one.work.own.span_id: one for one in noted}
        by_offset = {str(one.offset).encode(): one for one in noted}
        for output in outputs:
            if not output.headers:
                continue
            if output.topic.endswith(DEAD_LETTERS_SUFFIX):
                named = dict(output.headers)
                if (one := by_offset.get(named.get(ORIGINAL_OFFSET_HEADER) or b"")) is not None:
                    one.refused = (named.get(REASON_HEADER) or b"").decode()
            elif (context := context_of(output.headers)) is not None and (one := by_span.get(context.span_id)):
                transition_id = _text(output.headers, TRANSITION_HEADER)
                if transition_id is not None and len(one.led_to) < ITEMS_MAX:
                    one.led_to.append(transition_id)

    def _span(self, noted: Noted, end_ns: int) -> Span:
        attributes: dict[str, Value] = {
            **self._topic.attributes("process"),
            **place(self._partition, noted.offset),
            "pegel.stage": self._stage,
        }
        if noted.transition_id is not None:
            attributes["pegel.transition_id"] = noted.transition_id
        if noted.led_to:
            attributes["pegel.transition_ids"] = noted.led_to
        return Span(
            f"process {self._topic.name}",
            SpanKind.CONSUMER,
            noted.work.own,
            noted.work.parent,
            noted.start_ns,
            max(end_ns, noted.start_ns),
            attributes,
            failed=noted.refused,
        )


def _text(headers: Iterable[tuple[str, bytes | None]], wanted: str) -> str | None:
    """A header that Pegel's own records have; on a producer's it is cut to size and made readable."""
    found: Mapping[str, bytes | None] = dict(headers)
    value = found.get(wanted)
    return None if value is None else bounded(value.decode("utf-8", "replace"))
