"""The registry of one process, made from the table in `metrics`.

Theory of operation. A series exists from the start, with 0, wherever its words are known by then. Where words come and
go - a catalog's segments, the partitions of a worker - they are noted as they come, up to the label's bound; what is
beyond it is added up under ``_other``. A level of such a word is shown as long as it is given and vanishes with it: a
partition that has moved to another worker must not be seen to lag here for ever. A count stays, as counts do.

A series ends when its process does, and when one began shows in its count starting from 0; so the ``_created`` series,
which double the number of counters, are off.

Everything here is used from one thread, the event loop's.
"""

import platform
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version as version_of
from itertools import product
from math import inf
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from streams.engine import partition as engine
from streams.metrics import OTHER, Definition, FedBy, Kind, Label, Over, Whence, shown_by

Words = tuple[str, ...]

EXEMPLAR_LABEL: Final = "transition_id"
KEYS_KNOWN_MAX: Final = 10_000


def build_words() -> dict[str, Words]:
    """The words of `build_info`."""
    compiled = not str(engine.__file__).endswith(".py")
    return {
        "version": (version_of("pegel"),),
        "engine": ("compiled" if compiled else "interpreted",),
        "python": (platform.python_version(),),
    }


class BatchHistogram(Collector):
    """A histogram that takes many observations at once.

    A bucket shows the latest exemplar that fell into it, and only where OpenMetrics is asked for.
    """

    def __init__(self, definition: Definition, labels: Mapping[str, str]) -> None:
        self._definition = definition
        self._labels = labels
        self._counts = [0] * (len(definition.buckets) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def observe(self, values: Sequence[tuple[float, str | None]], now_s: float) -> None:
        """Take values, each with the id of the transition that it is of, if it is of one."""
        bounds, counts = self._definition.buckets, self._counts
        latest: dict[int, tuple[float, str]] = {}
        for value, transition_id in values:
            place = bisect_left(bounds, value)
            counts[place] += 1
            self._sum += value
            if transition_id is not None:
                latest[place] = value, transition_id
        for place, (value, transition_id) in latest.items():
            self._exemplars[place] = Exemplar({EXEMPLAR_LABEL: transition_id}, value, now_s)

    def describe(self) -> Iterable[Metric]:
        yield self._family()

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        total = 0
        for place, (bound, count) in enumerate(zip((*self._definition.buckets, inf), self._counts, strict=True)):
            total += count
            name, exemplar = str(floatToGoString(bound)), self._exemplars.get(place)  # type: ignore[no-untyped-call]
            buckets.append((name, total) if exemplar is None else (name, total, exemplar))
        family.add_metric(tuple(self._labels.values()), buckets, self._sum)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._definition.family, self._definition.text, labels=tuple(self._labels))


class Metrics:
    """What one process shows: a worker's stage, or another service."""

    def __init__(self, service: str, words: Mapping[str, Words] = MappingProxyType({})) -> None:
        """`words`: those of the labels that the deployment names; a label without any has no series."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.service = service
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._words = {**build_words(), **words}
        self._definitions = {one.name: one for one in shown_by(service)}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._batches: dict[str, BatchHistogram] = {}
        self._known_keys: dict[str, tuple[Definition, Words]] = {}
        """What stages' keys mean: they are the same again a second later, and for each partition."""
        self._found: dict[str, set[Words]] = {name: set() for name in self._definitions}
        """Words that came up, by metric."""
        for definition in self._definitions.values():
            self._make(definition)
        self.gauge("build_info", *(words[0] for words in build_words().values())).set(1)

    # -- by name -----------------------------------------------------------------------------------------------------

    def counter(self, name: str, *words: str) -> Counter:
        labels = (*self._fixed(name), *words)
        return self._counters[name].labels(*labels) if labels else self._counters[name]

    def gauge(self, name: str, *words: str) -> Gauge:
        labels = (*self._fixed(name), *words)
        return self._gauges[name].labels(*labels) if labels else self._gauges[name]

    def histogram(self, name: str) -> Histogram:
        labels = self._fixed(name)
        return self._histograms[name].labels(*labels) if labels else self._histograms[name]

    def batch_histogram(self, name: str) -> BatchHistogram:
        return self._batches[name]

    def levels(self, name: str, levels: Mapping[Words, float]) -> None:
        """Set a gauge for all of its words. Those that come and go vanish where they are not given; others are 0."""
        definition, found = self._definitions[name], self._found[name]
        if not _is_found(definition):
            for words in product(*map(self._known, definition.labels)):
                self.gauge(name, *words).set(levels.get(words, 0))
            return
        shown: dict[Words, float] = {}
        for words, level in levels.items():
            place = words if words in shown or len(shown) < _found_max(definition) else (OTHER,) * len(words)
            shown[place] = combined(definition.over, shown.get(place), level)
        for words in found - shown.keys():
            self._gauges[name].remove(*self._fixed(name), *words)
        for words, level in shown.items():
            self.gauge(name, *words).set(level)
        self._found[name] = set(shown)

    # -- for stages --------------------------------------------------------------------------------------------------

    def count(self, key: str, growth: int) -> None:
        """Add to a stage's count ``name:word:...``, by 0 too; ``KeyError`` for a name or word that is not declared."""
        definition, words = self._declared(key, Kind.COUNTER)
        if _is_found(definition):
            words = self._admitted(definition, words)
        self.counter(definition.name, *words).inc(growth)

    def set_stage_levels(self, partitions: Iterable[Mapping[str, float]]) -> list[str]:
        """Show the levels of all partitions' stages; return the keys that are not declared."""
        unknown: list[str] = []
        found: dict[str, dict[Words, float]] = {
            name: {} for name, one in self._definitions.items() if (one.kind, one.fed_by) == (Kind.GAUGE, FedBy.STAGE)
        }
        for given in partitions:
            for key, level in given.items():
                try:
                    definition, words = self._declared(key, Kind.GAUGE)
                except KeyError:
                    unknown.append(key)
                    continue
                found[definition.name][words] = combined(definition.over, found[definition.name].get(words), level)
        for name, levels in found.items():
            self.levels(name, levels)
        return unknown

    def _declared(self, key: str, kind: Kind) -> tuple[Definition, Words]:
        known = self._known_keys.get(key)
        if known is None or known[0].kind is not kind:
            if len(self._known_keys) >= KEYS_KNOWN_MAX:
                self._known_keys.clear()
            known = self._known_keys[key] = self._read(key, kind)
        return known

    def _read(self, key: str, kind: Kind) -> tuple[Definition, Words]:
        name, _, rest = key.partition(":")
        definition = self._definitions[name]
        words = rest.split(":", max(0, len(definition.labels) - 1)) if rest else []
        if (definition.kind, definition.fed_by) != (kind, FedBy.STAGE) or len(words) != len(definition.labels):
            raise KeyError(key)
        for word, label in zip(words, definition.labels, strict=True):
            if label.whence is not Whence.FOUND and word not in self._known(label):
                raise KeyError(key)
        return definition, tuple(words)

    def _admitted(self, definition: Definition, words: Words) -> Words:
        """The words under which a count goes: those that come up after as many as may are `OTHER`."""
        found = self._found[definition.name]
        key = tuple(word for word, label in zip(words, definition.labels, strict=True) if label.whence is Whence.FOUND)
        if key not in found and len(found) >= _found_max(definition):
            return tuple(
                OTHER if label.whence is Whence.FOUND else word
                for word, label in zip(words, definition.labels, strict=True)
            )
        found.add(key)
        return words

    # -- making ------------------------------------------------------------------------------------------------------

    def _make(self, definition: Definition) -> None:
        name, family, text, labels = definition.name, definition.family, definition.text, definition.label_names
        first: Counter | Gauge | Histogram
        if definition.exemplars:
            self._batches[name] = BatchHistogram(definition, dict(zip(labels, self._fixed(name), strict=True)))
            self.registry.register(self._batches[name])
            return
        if definition.kind is Kind.COUNTER:
            first = self._counters[name] = Counter(family, text, labels, registry=self.registry)
        elif definition.kind is Kind.GAUGE:
            first = self._gauges[name] = Gauge(family, text, labels, registry=self.registry)
        else:
            first = self._histograms[name] = Histogram(
                family, text, labels, registry=self.registry, buckets=definition.buckets
            )
        if labels and not _is_found(definition):
            for words in product(*map(self._known, definition.labels)):
                first.labels(*self._fixed(name), *words)

    def _fixed(self, name: str) -> Words:
        return (self.service,) if self._definitions[name].staged else ()

    def _known(self, label: Label) -> Words:
        return label.words if label.whence is Whence.CLOSED else self._words.get(label.name, ())


def exposition(registry: CollectorRegistry, accepted: str) -> tuple[bytes, str]:
    """What ``/metrics`` answers, and its content type. Exemplars are in OpenMetrics alone: Prometheus asks for it."""
    encode, content_type = choose_encoder(accepted)
    return encode(registry), content_type


def combined(over: Over, one: float | None, other: float) -> float:
    if one is None:
        return other
    return one + other if over is Over.SUM else max(one, other)


def _is_found(definition: Definition) -> bool:
    return any(label.whence is Whence.FOUND for label in definition.labels)


def _found_max(definition: Definition) -> int:
    return max(label.words_max for label in definition.labels if label.whence is Whence.FOUND)
