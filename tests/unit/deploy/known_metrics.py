"""Which series there are for rules and runbooks to ask for, and what an expression asks that is not among them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from deploy.prometheus.documents import groups
from deploy.prometheus.rules import Recording, Site
from streams.metrics import DEFINITIONS, STAGES, Definition, Kind, Whence
from tests.unit.deploy.promql import Matcher, Selector, read

SCRAPED: Final = ("job", "instance")
"""The labels that Prometheus adds."""


@dataclass(frozen=True, slots=True)
class Known:
    labels: frozenset[str]
    words: Mapping[str, frozenset[str]]
    """Of the labels whose words are written down."""


def _of(definition: Definition, sample: str) -> Known:
    words = {label.name: frozenset(label.words) for label in definition.labels if label.whence is Whence.CLOSED}
    if definition.staged:
        words["stage"] = frozenset(definition.shown_by) & frozenset(STAGES)
    if definition.kind is Kind.HISTOGRAM and sample.endswith("_bucket"):
        words["le"] = frozenset([*(str(float(edge)) for edge in definition.buckets), "+Inf"])
    return Known(frozenset((*SCRAPED, *definition.label_names, *words)), words)


def _known() -> Iterator[tuple[str, Known]]:
    for definition in DEFINITIONS:
        for sample in definition.samples:
            yield sample, _of(definition, sample)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for name in ("up", *(sample.name for metric in registry.collect() for sample in metric.samples)):
        yield name, Known(frozenset(SCRAPED), {})


EXPOSED: Final = dict(_known())
RECORDED: Final = {
    rule.record: Known(frozenset({rule.record.split(":")[0]}), {})
    for group in groups(Site())
    for rule in group.rules
    if isinstance(rule, Recording)
}
KNOWN: Final = EXPOSED | RECORDED


def faults(expression: str) -> list[str]:
    """What the expression asks for that nothing shows."""
    reading = read(expression)
    found = [fault for selector in reading.selectors for fault in _faults(selector)]
    labels: frozenset[str] = frozenset().union(
        *(KNOWN[selector.metric].labels for selector in reading.selectors if selector.metric in KNOWN)
    )
    return [*found, *(f"nothing has the label {label}" for label in sorted(reading.grouped_by - labels))]


def _faults(selector: Selector) -> Iterator[str]:
    known = KNOWN.get(selector.metric)
    if known is None:
        yield f"no metric {selector.metric}"
        return
    for matcher in selector.matchers:
        if matcher.label not in known.labels:
            yield f"{selector.metric} has no label {matcher.label}"
        elif matcher.label in known.words:
            for word in matcher.words:
                if not any(_is(matcher, word, one) for one in known.words[matcher.label]):
                    yield f"{selector.metric}: {matcher.label} is never {word}"


def _is(matcher: Matcher, wanted: str, word: str) -> bool:
    return wanted == word or ("~" in matcher.operator and re.fullmatch(wanted, word) is not None)
