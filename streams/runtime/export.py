"""From the runtime's and the stages' plain numbers to the worker's metrics, once a second and at each flush."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from streams import log_events
from streams.metric_registry import Metrics
from streams.metrics import HISTORY_S
from streams.runtime.assignment import Assignment
from streams.runtime.failure import FailReason
from streams.runtime.flush import FlushNote
from streams.runtime.partition import Partition
from streams.runtime.progress import progress
from streams.runtime.silence import Silence

EXPORT_S: Final = 1.0


class Exporter:
    """Exports growth: a stage's counts begin at 0 with each stage object, the worker's go on."""

    def __init__(
        self, metrics: Metrics, wall_s: Callable[[], float] = time.time, silence: Silence | None = None
    ) -> None:
        self._metrics = metrics
        self._wall_s = wall_s
        self._silence = silence or Silence()
        self._exported: dict[Partition, dict[str, int]] = {}
        self._unknown: set[str] = set()

    def note_flush(self, note: FlushNote) -> None:
        self._metrics.histogram("flush_duration_seconds").observe(note.seconds)
        self._metrics.histogram("commit_duration_seconds").observe(note.commit_seconds)
        self._metrics.histogram("flush_records").observe(note.outputs + note.changes)
        self._metrics.counter("changelog_rows").inc(note.changes)
        for topic, count in note.topics.items():
            self._metrics.counter("outputs", topic).inc(count)
        if note.fresh:
            now_s = self._wall_s()
            self._metrics.batch_histogram("freshness_seconds").observe(freshness(note.fresh, now_s), now_s)

    def note_restored(self, rows: int, seconds: float) -> None:
        self._metrics.counter("restored_rows").inc(rows)
        self._metrics.gauge("restore_seconds").set(seconds)

    def note_lost(self, records: int) -> None:
        self._metrics.counter("records_lost").inc(records)

    def note_failure(self, reason: FailReason) -> None:
        self._metrics.counter("failures", reason.value).inc()

    def note_spans(self, outcome: str, spans: int) -> None:
        self._metrics.counter("spans", outcome).inc(spans)

    def note_loop_delay(self, seconds: float) -> None:
        self._metrics.histogram("loop_delay_seconds").observe(seconds)

    def note_revoked(self) -> None:
        self._metrics.counter("rebalances").inc()

    def note_dropped(self, partition: Partition) -> None:
        """Export what a partition counted last, and forget it. Its levels vanish with the next export."""
        self._export_counts(partition)
        self._exported.pop(partition, None)

    async def export_for_ever(self, assignment: Assignment) -> None:
        while True:
            self.export(assignment)
            await asyncio.sleep(EXPORT_S)

    def export(self, assignment: Assignment) -> None:
        metrics, partitions = self._metrics, [*assignment]
        for partition in partitions:
            self._export_counts(partition)
        self._complain(metrics.set_stage_levels(partition.stage.gauges for partition in partitions))
        now_ms = int(self._wall_s() * 1000)
        metrics.levels("lag_records", {(str(one.number),): one.lag() or 0 for one in partitions})
        metrics.levels("lag_seconds", {(str(one.number),): one.lag_ms(now_ms) / 1000 for one in partitions})
        loadings = assignment.loadings
        metrics.gauge("restore_progress_ratio").set(progress(loadings, 0.0).percent / 100 if loadings else 1)
        metrics.gauge("held_records").set(sum(one.records_held for one in partitions))
        metrics.gauge("partitions").set(len(assignment.active()))
        metrics.gauge("ready").set(assignment.settled)
        metrics.gauge("broker_silence_seconds").set(self._silence.longest_s(partitions))

    def _export_counts(self, partition: Partition) -> None:
        exported = self._exported.setdefault(partition, {})
        now = {**partition.stage.counts}
        for name, total in now.items():
            before = exported.get(name)
            if total != before:
                try:
                    self._metrics.count(name, total - (before or 0))
                except KeyError:
                    self._complain([name])
        for name, counter, total in (
            (" applied", "records", partition.records_applied),
            (" overlooked", "overlooked_partitions", partition.times_overlooked),
        ):
            self._metrics.counter(counter).inc(total - exported.get(name, 0))
            now[name] = total
        self._exported[partition] = now

    def _complain(self, names: Iterable[str]) -> None:
        """Say once that a name is not declared; a missing metric is no reason to stop."""
        for name in set(names) - self._unknown:
            self._unknown.add(name)
            log_events.METRIC_UNDECLARED.tell(name=name)


def freshness(fresh: Sequence[tuple[int, str | None]], now_s: float) -> list[tuple[float, str | None]]:
    """From the timestamps of records to the age of what they led to, now that it is committed; no history."""
    now_ms = now_s * 1000
    from_ms = now_ms - HISTORY_S * 1000
    return [((now_ms - at_ms) / 1000 if at_ms < now_ms else 0.0, told) for at_ms, told in fresh if at_ms >= from_ms]
