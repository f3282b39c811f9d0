"""A catalog as the model uses it: the parsed YAML, with every rule as a Python syntax tree.

Readings of the contract:

* A disabled segment is as if it were not there: it has no place, no transitions, and nobody is a member of it.
* ``extends``: maps merge by key, at every depth; a segment with a known id merges by key and keeps its place.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.model.records import DAY_MS

DEFAULT_SIGNALS = (
    "subscription_started",
    "subscription_cancelled",
    "plan_changed",
    "nps_answered",
    "support_ticket_opened",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()


@dataclass(frozen=True)
class Segment:
    id: str
    group: str | None
    when: ast.expr
    exit_when: ast.expr | None
    min_dwell_ms: float
    cooldown_ms: float


@dataclass(frozen=True)
class NamedEvent:
    name: str
    event: str
    where: ast.expr | None


@dataclass(frozen=True)
class Measure:
    event: str
    path: str
    aggregate: str


def parse(rule: str) -> ast.expr:
    return ast.parse(rule.strip(), mode="eval").body


class Catalog:
    def __init__(self, content: Mapping[str, Any]) -> None:
        self.trial_ms: float = content.get("trial_days", 14) * DAY_MS
        self.zone = ZoneInfo(content.get("timezone") or "UTC")
        weights: Mapping[str, Any] = content.get("weights") or {}
        self.weights_milli = {name: int(Decimal(str(weight)) * 1000) for name, weight in weights.items()}
        self.core_features = frozenset(content.get("core_features") or ())
        self.signals = frozenset(content.get("signals", DEFAULT_SIGNALS) or ())
        self.checklist = [(step["event"], step["count"]) for step in content.get("checklist") or ()]
        self.value_event: str | None = content.get("value_event")
        self.named_events = [
            NamedEvent(name, event["event"], parse(event["where"]) if event.get("where") else None)
            for name, event in (content.get("events") or {}).items()
        ]
        self.measures = {
            name: Measure(measure["event"], measure["property"], measure["aggregate"])
            for name, measure in (content.get("measures") or {}).items()
        }
        self.definitions = {name: parse(str(rule)) for name, rule in (content.get("definitions") or {}).items()}
        self.segments = [_segment(entry) for entry in content.get("segments") or () if entry.get("enabled", True)]

    def rules(self) -> Iterator[ast.expr]:
        for segment in self.segments:
            yield segment.when
            if segment.exit_when is not None:
                yield segment.exit_when

    def day_of(self, at_ms: int) -> int:
        """The number of the local day, 0 for 1970-01-01."""
        if self.zone.key == "UTC":
            return at_ms // DAY_MS
        return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(self.zone).toordinal() - _EPOCH_DAY

    def day_start(self, day: int) -> int:
        """The first millisecond of a local day, by bisection: it asks nothing but ``day_of``."""
        if self.zone.key == "UTC":
            return day * DAY_MS
        before, within = (day - 1) * DAY_MS, (day + 1) * DAY_MS
        while within - before > 1:
            middle = (before + within) // 2
            before, within = (middle, within) if self.day_of(middle) < day else (before, middle)
        return within


def _segment(entry: Mapping[str, Any]) -> Segment:
    leave = entry.get("exit_when")
    return Segment(
        id=entry["id"],
        group=entry.get("group"),
        when=parse(str(entry["when"])),
        exit_when=None if leave is None else parse(str(leave)),
        min_dwell_ms=(entry.get("min_dwell_days") or 0) * DAY_MS,
        cooldown_ms=(entry.get("cooldown_days") or 0) * DAY_MS,
    )


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``base``, as ``extends`` wants it."""
    merged = dict(base)
    for key, value in over.items():
        if key == "segments":
            merged[key] = _merge_segments(merged.get(key) or [], value)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        elif key != "extends":
            merged[key] = value
    return merged


def _merge_segments(base: list[dict[str, Any]], over: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged = {segment["id"]: dict(segment) for segment in base}
    for segment in over:
        merged[segment["id"]] = {**merged.get(segment["id"], {}), **segment}
    return list(merged.values())
