"""Every metric that a worker shows on ``/metrics``, in one place.

Rules: the prefix is ``pegel_``; base units (seconds, records, rows); a counter ends in ``_total``; no account, user or
event name ever is a label; every label's words are a closed set, and a series exists from the start with 0, so that
a rate can be taken before the first occurrence. Each worker process is one stage and says so in the label ``stage``.

A stage counts without knowing Prometheus: its ``counts`` maps ``name`` or ``name:word`` (``name:word:word``) to a
total, its ``gauges`` maps such a name to a level. The names and words are those of ``STAGE_COUNTS`` and
``STAGE_GAUGES`` below; the runtime exports the growth, and the sum over the partitions. Where the words are the
deployment's own - destinations, of which a playbook has 50 at most - the stage's specification says which there are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from schemas.action import Reason
from schemas.dead_letter import RejectReason
from schemas.inbox import CommandKind

BREAKER_STATES: Final = ("closed", "open", "probing")
DIRECTIONS: Final = ("entered", "exited", "moved")
COLLECTIONS: Final = (
    "users",
    "teams",
    "event_names",
    "traits",
    "resources",
    "message_ids",
    "days",
    "identities",
    "nps_answers",
    "measure_values",
)
LINK_REQUESTS: Final = (
    "click", "head", "prefetch", "robot", "malformed", "unknown_key", "forged", "expired",
)  # fmt: skip
LINK_EVENTS: Final = ("written", "lost")
TIME_BUCKETS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
RECORD_BUCKETS: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


DEPLOYED: Final = None
"""The words of a label that the stage's specification names."""


@dataclass(frozen=True, slots=True)
class StageMetric:
    """A metric fed by the stages: its help, and for each label its words."""

    help: str
    labels: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


# Count name -> pegel_<name>_total{stage, ...}
STAGE_COUNTS: Final[Mapping[str, StageMetric]] = {
    # Intake and engagement
    "rejected": StageMetric(
        "Records refused and sent to the dead-letter topic.", {"reason": tuple(word.value for word in RejectReason)}
    ),
    "duplicates": StageMetric("Events dropped because their message id was known.", {}),
    # Engagement
    "late": StageMetric("Activity too late for its windows, copied to the late topic.", {}),
    "clock_ahead": StageMetric("Events whose time was more than five minutes ahead of their arrival.", {}),
    "transitions": StageMetric("Segment transitions written.", {"direction": DIRECTIONS}),
    "deadlines": StageMetric("Deadlines that fired.", {}),
    "controls": StageMetric(
        "Control records applied.", {"control": ("clock", "thresholds", "catalog", "erase", "sketch")}
    ),
    "evicted": StageMetric("Entries dropped because a collection was full.", {"collection": COLLECTIONS}),
    "applied": StageMetric("Events applied to their account.", {}),
    "cut": StageMetric(
        "Texts shortened, traits dropped because they were too large, and headers not passed on.",
        {"what": ("text", "trait", "header")},
    ),
    "suppressed": StageMetric("Events of accounts and users that were erased.", {}),
    "ignored": StageMetric("Facts without a usable value.", {"what": ("nps_answer",)}),
    # Intake
    "accounts_resolved": StageMetric(
        "How events found their account.", {"by": ("group_call", "context", "property", "user")}
    ),
    # Router
    "routed": StageMetric("Transitions given to a destination, once for each."),
    "unheard": StageMetric("Transitions that no play names."),
    # Courier
    "commands": StageMetric(
        "Commands of operators carried out.", {"command": tuple(word.value for word in CommandKind)}
    ),
    "deliveries": StageMetric(
        "Decisions and attempts, by destination.",
        {"destination": DEPLOYED, "reason": tuple(word.value for word in Reason)},
    ),
    "throttled_seconds": StageMetric("For how long destinations asked us to wait.", {"destination": DEPLOYED}),
}

# Gauge name -> pegel_<name>{stage, ...}
STAGE_GAUGES: Final[Mapping[str, StageMetric]] = {
    "state_rows": StageMetric("Rows of state held: accounts, identities."),
    "pending_deadlines": StageMetric("Deadlines that wait for their time."),
    # Courier
    "open_deliveries": StageMetric(
        "Deliveries that are neither done nor given up, those that are not in memory included.",
        {"destination": DEPLOYED},
    ),
    "oldest_undelivered_seconds": StageMetric(
        "Age of the delivery that has waited longest; 0 if none waits.", {"destination": DEPLOYED}
    ),
    "parked_lanes": StageMetric("Accounts whose next message waits for another attempt.", {"destination": DEPLOYED}),
    "held": StageMetric("1 where an operator has paused or drained the destination.", {"destination": DEPLOYED}),
    "breaker": StageMetric(
        "1 for the state that the destination's breaker is in.",
        {"destination": DEPLOYED, "state": BREAKER_STATES},
    ),
    "planned_messages": StageMetric(
        "Messages that wait for a group, a quiet hour, a step or a budget.", {"destination": DEPLOYED}
    ),
    "budget_spent_messages": StageMetric("Messages of the day's budget that are used up.", {"destination": DEPLOYED}),
}


class Metrics:
    """The registry of one worker, and what it holds."""

    def __init__(
        self,
        stage: str,
        output_topics: tuple[str, ...] = (),
        words: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        """`words`: those of the labels that are `DEPLOYED`; none, where the stage does not have the label."""
        self.stage = stage
        self._words = words
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        # -- records ---------------------------------------------------------------------------------------------
        self.records = self._counter("records", "Records applied.")
        self.outputs = self._counter("outputs", "Records written, by topic.", topic=output_topics)
        self.changelog_rows = self._counter("changelog_rows", "Rows of state written.")
        self.stage_counts = {name: self._stage_counter(name, count) for name, count in STAGE_COUNTS.items()}

        # -- flushes -----------------------------------------------------------------------------------------------
        self.flush_duration = self._histogram(
            "flush_duration_seconds", "Time of a flush: one Kafka transaction of one partition.", TIME_BUCKETS
        )
        self.flush_records = self._histogram("flush_records", "Outputs and changelog rows of a flush.", RECORD_BUCKETS)

        # -- where the worker stands -------------------------------------------------------------------------------
        self.lag = Gauge(
            "pegel_lag_records", "Records that can be read but were not applied.", ("stage", "partition"),
            registry=self.registry,
        )  # fmt: skip
        self.records_held = self._gauge(
            "held_records", "Records fetched but kept until other partitions come up to them."
        )
        self.overlooked = self._counter(
            "overlooked_partitions", "Times that a partition which brought nothing was waited for no longer."
        )
        self.partitions = self._gauge("partitions", "Partitions that this worker works on.")
        self.ready = self._gauge("ready", "1 when every assigned partition is loaded and at work.")
        self.rebalances = self._counter("rebalances", "Times that partitions were revoked.")
        self.restore_seconds = self._gauge("restore_seconds", "Time of the last load of state.")
        self.restored_rows = self._counter("restored_rows", "Changelog rows read by loads of state.")
        self.stage_gauges = dict(self._stage_gauges())
        """By name and words, as stages say them."""

    def count(self, name: str, growth: int) -> None:
        """Add a stage's count; raises ``KeyError`` for a name or word that is not declared above."""
        metric, *words = name.split(":")
        declared = self._labels(STAGE_COUNTS[metric])
        if len(words) != len(declared) or any(
            w not in known for w, known in zip(words, declared.values(), strict=True)
        ):
            raise KeyError(name)
        self.stage_counts[metric].labels(self.stage, *words).inc(growth)

    # -- making ------------------------------------------------------------------------------------------------------

    def _counter(self, name: str, text: str, **labels: tuple[str, ...]) -> Counter:
        counter = Counter(f"pegel_{name}", text, ("stage", *labels), registry=self.registry)
        for words in product(*labels.values()):
            counter.labels(self.stage, *words)
        return counter

    def _stage_counter(self, name: str, count: StageMetric) -> Counter:
        return self._counter(name, count.help, **self._labels(count))

    def _stage_gauges(self) -> Iterator[tuple[str, Gauge]]:
        for name, metric in STAGE_GAUGES.items():
            labels = self._labels(metric)
            gauge = Gauge(f"pegel_{name}", metric.help, ("stage", *labels), registry=self.registry)
            for words in product(*labels.values()):
                yield ":".join((name, *words)), gauge.labels(self.stage, *words)

    def _labels(self, metric: StageMetric) -> dict[str, tuple[str, ...]]:
        return {label: self._words.get(label, ()) if words is None else words for label, words in metric.labels.items()}

    def _gauge(self, name: str, text: str) -> Gauge:
        gauge = Gauge(f"pegel_{name}", text, ("stage",), registry=self.registry)
        gauge.labels(self.stage)
        return gauge

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        histogram = Histogram(f"pegel_{name}", text, ("stage",), buckets=buckets, registry=self.registry)
        histogram.labels(self.stage)
        return histogram


class LinkMetrics:
    """The registry of a service that signed links lead to; no account, no address, no delivery in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "pegel_link_requests", "Links asked for: what each request was, or why it was refused.", ("outcome",),
            registry=self.registry,
        )  # fmt: skip
        self.events = Counter(
            "pegel_link_events", "Clicks, by what became of their event.", ("outcome",), registry=self.registry
        )
        for counter, words in ((self.requests, LINK_REQUESTS), (self.events, LINK_EVENTS)):
            for word in words:
                counter.labels(word)
