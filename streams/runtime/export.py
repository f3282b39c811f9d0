"""From the runtime's and the stages' plain numbers to the worker's metrics, once a second and at each flush."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from streams import log_events
from streams.metric_registry import Metrics
from streams.runtime.assignment import Assignment
from streams.runtime.flush import FlushNote
from streams.runtime.partition import Partition

EXPORT_S: Final = 1.0


class Exporter:
    """Exports growth: a stage's counts begin at 0 with each stage object, the worker's go on."""

    def __init__(self, metrics: Metrics, wall_s: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._wall_s = wall_s
        self._exported: dict[Partition, dict[str, int]] = {}
        self._unknown: set[str] = set()

    def note_flush(self, note: FlushNote) -> None:
        self._metrics.histogram("flush_duration_seconds").observe(note.seconds)
        self._metrics.histogram("flush_records").observe(note.outputs + note.changes)
        self._metrics.counter("changelog_rows").inc(note.changes)
        for topic, count in note.topics.items():
            self._metrics.counter("outputs", topic).inc(count)

    def note_restored(self, rows: int, seconds: float) -> None:
        self._metrics.counter("restored_rows").inc(rows)
        self._metrics.gauge("restore_seconds").set(seconds)

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
        metrics.levels("lag_records", {(str(one.number),): one.lag() or 0 for one in partitions})
        metrics.gauge("held_records").set(sum(one.records_held for one in partitions))
        metrics.gauge("partitions").set(len(assignment.active()))
        metrics.gauge("ready").set(assignment.settled)

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
