"""What the canary shows: its metrics, and a line in the log for each crossing that was not seen.

Called from the canary's thread; pages read from another one, which is what metrics are made for.
"""

import time
from collections.abc import Callable
from typing import Protocol

from streams import log_events
from streams.canary.watch import Outcome, Verdict
from streams.metric_registry import Metrics


class Report(Protocol):
    """Who is told how it goes."""

    def begun(self, partitions: int) -> None:
        """The canary has an account in so many partitions."""

    def at_work(self, *, up: bool) -> None:
        """Whether events of the canary are published, and a segment is there to be crossed."""

    def ended(self, verdict: Verdict) -> None:
        """A crossing ended."""


class Shown:
    """As metrics. A partition that was never seen counts as seen when the canary began: it is due from then on."""

    def __init__(self, metrics: Metrics, now_s: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._now_s = now_s
        self._seen_s: dict[int, float] = {}
        self._began_s = now_s()
        self._up = False
        metrics.gauge("canary_last_seen_timestamp_seconds").set(self._began_s)

    @property
    def up(self) -> bool:
        return self._up

    def begun(self, partitions: int) -> None:
        self._seen_s = {number: self._seen_s.get(number, self._began_s) for number in range(partitions)}
        self._show_seen()

    def at_work(self, *, up: bool) -> None:
        self._up = up
        self._metrics.gauge("canary_up").set(up)

    def ended(self, verdict: Verdict) -> None:
        self._metrics.counter("canary_crossings", verdict.outcome.value).inc()
        if verdict.outcome is not Outcome.SEEN:
            log_events.CANARY_UNSEEN.tell(partition=verdict.partition, reason=verdict.reason.value)
            return
        assert verdict.seconds is not None, "what was seen was open"
        self._metrics.histogram("canary_latency_seconds").observe(verdict.seconds)
        self._seen_s[verdict.partition] = self._now_s()
        self._show_seen()

    def _show_seen(self) -> None:
        self._metrics.gauge("canary_last_seen_timestamp_seconds").set(min(self._seen_s.values()))
        by_partition: dict[tuple[str, ...], float] = {(str(number),): at_s for number, at_s in self._seen_s.items()}
        self._metrics.levels("canary_partition_seen_timestamp_seconds", by_partition)
