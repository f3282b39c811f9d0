"""Spans never hold anybody up: what has no room, or no taker, is lost and counted."""

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from schemas.trace import TraceContext
from streams.tracing.outbox import BATCH_MAX, OUTCOMES, LossReason, SpanOutbox
from streams.tracing.spans import Span, SpanKind


def spans(count: int) -> list[Span]:
    return [Span("s", SpanKind.INTERNAL, TraceContext("1" * 32, f"{n + 1:016x}"), None, 0, 1) for n in range(count)]


class Collector:
    def __init__(self, answer: bool | Exception = True) -> None:  # noqa: FBT001, FBT002
        self.batches: list[int] = []
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()
        self._answer = answer

    def export(self, given: Sequence[Span]) -> bool:
        self.gate.wait(20)
        self.batches.append(len(given))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def close(self) -> None:
        self.closed = True


def test_what_is_given_is_exported_in_batches_and_the_rest_at_the_end() -> None:
    collector = Collector()
    outbox = SpanOutbox(collector, queued_max=10_000)
    outbox.give(spans(2 * BATCH_MAX + 3))
    outbox.start()
    outbox.close()
    assert sum(collector.batches) == outbox.exported == 2 * BATCH_MAX + 3
    assert max(collector.batches) == BATCH_MAX
    assert collector.closed
    assert sum(outbox.lost.values()) == 0


def test_a_collector_that_hangs_holds_nobody_up_and_costs_what_has_no_room() -> None:
    collector = Collector()
    collector.gate.clear()
    outbox = SpanOutbox(collector, queued_max=10, linger_s=0.001)
    noted: Counter[str] = Counter()
    outbox.note = lambda outcome, count: noted.update({outcome: count})
    outbox.give(spans(25))
    outbox.start()
    assert outbox.lost[LossReason.QUEUE_FULL] == 15
    collector.gate.set()
    outbox.close()
    assert outbox.exported == 10
    assert noted == {"queue_full": 15, "exported": 10}
    assert noted.keys() <= set(OUTCOMES)


def test_a_process_does_not_wait_long_for_a_collector_that_hangs() -> None:
    collector = Collector()
    collector.gate.clear()
    outbox = SpanOutbox(collector, queued_max=BATCH_MAX + 5)
    outbox.give(spans(BATCH_MAX + 5))
    outbox.start()
    outbox.close(timeout_s=0.05)
    assert outbox.lost[LossReason.ENDED] == 5
    collector.gate.set()


@pytest.mark.parametrize("answer", [False, OSError("away"), ValueError("a fault of a library")])
def test_what_a_collector_does_not_take_is_counted_and_the_next_batch_is_tried(
    answer: bool | Exception,  # noqa: FBT001
) -> None:
    collector = Collector(answer)
    outbox = SpanOutbox(collector)
    outbox.start()
    outbox.give(spans(3))
    outbox.close()
    assert outbox.lost[LossReason.NOT_TAKEN] == 3
    assert collector.closed
