"""What a span says: names and attributes after OpenTelemetry's messaging conventions, and of Pegel `pegel.*`.

No account, user, key or payload is in one: a `transition_id` or `delivery_id` leads to them. Everything is bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from schemas.trace import TraceContext

TEXT_CHARS_MAX: Final = 128
ITEMS_MAX: Final = 16
LINKS_MAX: Final = 32

Value = str | int | Sequence[str]


class SpanKind(StrEnum):
    PRODUCER = "producer"
    CONSUMER = "consumer"
    CLIENT = "client"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work that has ended."""

    name: str
    kind: SpanKind
    context: TraceContext
    parent: TraceContext | None
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    links: Sequence[TraceContext] = ()
    failed: str | None = None
    """The reason, a word of a closed list, if it did not come to a good end."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What all spans about a topic say."""

    name: str
    group: str | None = None

    def attributes(self, operation: str) -> dict[str, Value]:
        named: dict[str, Value] = {
            "messaging.system": "kafka",
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": bounded(self.name),
        }
        if self.group is not None:
            named["messaging.consumer.group.name"] = bounded(self.group)
        return named


def place(partition: int, offset: int) -> dict[str, Value]:
    return {"messaging.destination.partition.id": str(partition), "messaging.kafka.offset": offset}


def bounded(text: str) -> str:
    return text[:TEXT_CHARS_MAX]
