"""From the runtime's and the stages' plain numbers to the worker's metrics, once a second and at each flush."""

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from streams.metrics import Metrics
from streams.runtime.assignment import Assignment
from streams.runtime.flush import FlushNote
from streams.runtime.partition import Partition

log = logging.getLogger(__name__)

EXPORT_S: Final = 1.0


class Exporter:
    """Exports growth: a stage's counts begin at 0 with each stage object, the worker's go on."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._exported: dict[Partition, dict[str, int]] = {}
        self._unknown: set[str] = set()

    def note_flush(self, note: FlushNote) -> None:
        stage = self._metrics.stage
        self._metrics.flush_duration.labels(stage).observe(note.seconds)
        self._metrics.flush_records.labels(stage).observe(note.outputs + note.changes)
        self._metrics.changelog_rows.labels(stage).inc(note.changes)
        for topic, count in note.topics.items():
            self._metrics.outputs.labels(stage, topic).inc(count)

    def note_restored(self, rows: int, seconds: float) -> None:
        self._metrics.restored_rows.labels(self._metrics.stage).inc(rows)
        self._metrics.restore_seconds.labels(self._metrics.stage).set(seconds)

    def note_revoked(self) -> None:
        self._metrics.rebalances.labels(self._metrics.stage).inc()

    def note_dropped(self, partition: Partition) -> None:
        """Export what a partition counted last, and forget it."""
        self._export_counts(partition)
        self._exported.pop(partition, None)
        with suppress(KeyError):  # one that was given up while it was loading was never shown
            self._metrics.lag.remove(self._metrics.stage, str(partition.number))

    async def export_for_ever(self, assignment: Assignment) -> None:
        while True:
            self.export(assignment)
            await asyncio.sleep(EXPORT_S)

    def export(self, assignment: Assignment) -> None:
        stage = self._metrics.stage
        gauges: Tally[str] = Tally()
        self._metrics.records_held.labels(stage).set(sum(partition.records_held for partition in assignment))
        for partition in assignment:
            self._export_counts(partition)
            gauges.update(partition.stage.gauges)
            self._metrics.lag.labels(stage, str(partition.number)).set(partition.lag() or 0)
        for name, gauge in self._metrics.stage_gauges.items():
            gauge.set(gauges.pop(name, 0))
        self._complain(gauges)
        self._metrics.partitions.labels(stage).set(len(assignment.active()))
        self._metrics.ready.labels(stage).set(assignment.settled)

    def _export_counts(self, partition: Partition) -> None:
        exported = self._exported.setdefault(partition, {})
        now = {**partition.stage.counts}
        for name, total in now.items():
            growth = total - exported.get(name, 0)
            if growth:
                try:
                    self._metrics.count(name, growth)
                except KeyError:
                    self._complain([name])
        for name, metric, total in (
            (" applied", self._metrics.records, partition.records_applied),
            (" overlooked", self._metrics.overlooked, partition.times_overlooked),
        ):
            metric.labels(self._metrics.stage).inc(total - exported.get(name, 0))
            now[name] = total
        self._exported[partition] = now

    def _complain(self, names: Iterable[str]) -> None:
        """Say once that a name is not declared; a missing metric is no reason to stop."""
        for name in set(names) - self._unknown:
            self._unknown.add(name)
            log.error("stage metric %r is not declared in streams/metrics.py and is not exported", name)
