"""When a stage's work on a record has ended, and what is too much."""

from collections.abc import Callable

import pytest

from schemas.trace import TraceContext, carried
from streams.runtime.failure import RuntimeFailure
from streams.runtime.stage import Output
from streams.runtime.transaction import Transaction, Watching
from streams.tracing.spans import ITEMS_MAX, Span, Topic
from streams.tracing.writer import NOTED_MAX, TracedWriter
from tests.unit.runtime.fakes import FakeRecord

CONTEXT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def _nothing() -> None: ...


class Inner:
    commit_took_s = 0.25
    may_hang = False

    def __init__(self) -> None:
        self.written: list[Transaction] = []
        self.error: Exception | None = None
        self.meanwhile: Callable[[], None] = _nothing

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def end_hanging(self) -> None: ...

    async def write(self, transaction: Transaction) -> None:
        if self.error is not None:
            raise self.error
        self.meanwhile()
        self.written.append(transaction)


class World:
    def __init__(self) -> None:
        self.inner, self.spans, self.lost, self.now_ns = Inner(), list[Span](), 0, 100
        self.writer = TracedWriter(
            self.inner, "engagement", Topic("account.events.v1"), 0, self.spans.extend, self._lose, lambda: self.now_ns
        )

    def _lose(self, spans: int) -> None:
        self.lost += spans

    def apply(self, *offsets: int) -> None:
        self.writer.applying([FakeRecord(offset, headers=carried(CONTEXT, None)) for offset in offsets])


def flush(*outputs: Output) -> Transaction:
    return Transaction(list(outputs), [], 1)


async def test_a_span_is_from_the_application_to_the_commit() -> None:
    world = World()
    assert isinstance(world.writer, Watching)
    assert world.writer.commit_took_s == 0.25
    world.apply(7)
    assert world.spans == []
    world.now_ns = 250
    await world.writer.write(flush())
    [span] = world.spans
    assert (span.start_ns, span.end_ns) == (100, 250)
    assert (span.parent, span.context) == (CONTEXT, CONTEXT.child("engagement", 0, 7))


async def test_what_is_applied_while_a_flush_is_written_belongs_to_the_next_one() -> None:
    world = World()
    world.apply(1)
    world.inner.meanwhile = lambda: world.apply(2)
    await world.writer.write(flush())
    assert [one.attributes["messaging.kafka.offset"] for one in world.spans] == [1]
    world.inner.meanwhile = _nothing
    await world.writer.write(flush())
    assert [one.attributes["messaging.kafka.offset"] for one in world.spans] == [1, 2]


async def test_a_flush_that_fails_has_no_spans_and_the_error_goes_on() -> None:
    world = World()
    world.inner.error = RuntimeFailure("fenced")
    world.apply(1)
    with pytest.raises(RuntimeFailure):
        await world.writer.write(flush())
    assert world.spans == []


async def test_so_many_records_of_a_flush_have_a_span_and_the_others_are_counted() -> None:
    world = World()
    world.apply(*range(NOTED_MAX + 30))
    await world.writer.write(flush())
    assert len(world.spans) == NOTED_MAX
    assert world.lost == 30


async def test_a_span_names_so_many_of_the_transitions_that_its_record_led_to() -> None:
    world = World()
    world.apply(7)
    headers = [("ce_id", b"t" * 1_000), *carried(CONTEXT.child("engagement", 0, 7), None)]
    await world.writer.write(flush(*[Output("segments.transitions.v1", b"acme", b"{}", headers)] * (ITEMS_MAX + 9)))
    named = world.spans[0].attributes["pegel.transition_ids"]
    assert isinstance(named, list)
    assert len(named) == ITEMS_MAX
    assert len(named[0]) == 128


async def test_records_without_a_context_cost_no_span() -> None:
    world = World()
    world.writer.applying([FakeRecord(0), FakeRecord(1, headers=[("traceparent", b"hostile"), ("x", None)])])
    await world.writer.write(flush())
    assert (world.spans, world.lost) == ([], 0)
