"""The way of spans out of the process: a bounded queue, and a thread that exports from it.

Whoever gives spans never waits. When the queue is full, or the collector does not take a batch, spans are lost; they
are counted, and the log says so once in a while. Nothing else depends on a span.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol

from streams import log_events
from streams.tracing.spans import Span

QUEUED_MAX: Final = 4_096
BATCH_MAX: Final = 256
LINGER_S: Final = 0.5
CLOSE_S: Final = 3.0


class LossReason(StrEnum):
    """Why spans are not at the collector."""

    QUEUE_FULL = "queue_full"
    NOT_TAKEN = "not_taken"
    TOO_MANY = "too_many"
    """In one flush."""
    ENDED = "ended"
    """The process ended before they were sent."""


EXPORTED: Final = "exported"
OUTCOMES: Final = (EXPORTED, *(reason.value for reason in LossReason))


def _nobody(_outcome: str, _spans: int) -> None:
    """Nobody counts."""


class Exporter(Protocol):
    """Where spans go. Called from the outbox's thread alone; may block."""

    def export(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken."""
        ...

    def close(self) -> None: ...


class SpanOutbox:
    def __init__(self, exporter: Exporter, queued_max: int = QUEUED_MAX, linger_s: float = LINGER_S) -> None:
        self._exporter = exporter
        self._queued_max = queued_max
        self._linger_s = linger_s
        self._queue: deque[Span] = deque()
        self._woken = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self.exported = 0
        self.lost = dict.fromkeys(LossReason, 0)
        self.note: Callable[[str, int], None] = _nobody
        """Told of what becomes of spans, for the metrics: a word of `OUTCOMES`, and of how many. From any thread."""

    def start(self) -> None:
        self._thread.start()

    def give(self, spans: Iterable[Span]) -> None:
        """Take spans; never blocks."""
        room = self._queued_max - len(self._queue)
        for span in spans:
            if room <= 0:
                self.lose(1, LossReason.QUEUE_FULL)
                continue
            self._queue.append(span)
            room -= 1
        if len(self._queue) >= BATCH_MAX:
            self._woken.set()

    def lose(self, spans: int, reason: LossReason = LossReason.TOO_MANY) -> None:
        """Count spans that will not be exported."""
        self.lost[reason] += spans
        self.note(reason.value, spans)
        log_events.SPANS_LOST.tell(spans=spans, reason=reason.value)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Export what is left, if that is quickly done."""
        self._closing = True
        self._woken.set()
        self._thread.join(timeout_s)
        if self._queue:
            self.lose(len(self._queue), LossReason.ENDED)

    def _run(self) -> None:
        while True:
            self._woken.wait(self._linger_s)
            self._woken.clear()
            while self._queue:
                self._export([self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))])
            if self._closing:
                self._exporter.close()
                return

    def _export(self, batch: Sequence[Span]) -> None:
        try:
            taken = self._exporter.export(batch)
        except Exception:  # noqa: BLE001 - a collector, or a library, that fails in whatever way costs spans alone
            taken = False
        if taken:
            self.exported += len(batch)
            self.note(EXPORTED, len(batch))
        else:
            self.lose(len(batch), LossReason.NOT_TAKEN)
