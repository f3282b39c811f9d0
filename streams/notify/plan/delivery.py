"""A delivery: one piece of news for one destination in the words of one template.

Its id is a function of these three, so it is the same on every attempt, after a restart, on another worker, and when
two plays ask for the same; whoever receives it can use it to drop a repeat.
"""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from streams.connectors.message import Rendered
from streams.notify.plan.news import News

NAMESPACE: Final = UUID("f7a4f6a0-3b59-5a0e-9d0c-70c1c8c5b9a1")
SEPARATOR: Final = "\x1f"


def delivery_id(destination: str, transition_id: str, template: str) -> str:
    return str(uuid5(NAMESPACE, SEPARATOR.join((destination, transition_id, template))))


@dataclass(frozen=True, slots=True)
class Source:
    """The record that the news came in, kept so that a dead letter can be the original, byte for byte."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes | None], ...] = field(default=(), repr=False)

    @property
    def timestamp(self) -> int:
        """As a fetched record calls it."""
        return self.timestamp_ms


@dataclass(frozen=True, slots=True)
class Delivery:
    """An open delivery."""

    delivery_id: str
    play: str
    destination: str
    template: str
    planned_at_ms: int
    news: News
    source: Source
    order: int = 0
    """Its place in the courier's order, in which an account's deliveries go out; the plan leaves it alone."""
    attempts: int = 0
    """Attempts that were made and failed."""
    strikes: int = 0
    """Those of them that lengthen its backoff."""
    not_before_ms: int = 0
    """When the next attempt may be made."""
    unsure: bool = False
    """An attempt may have got through, and nobody knows."""
    rendered: Rendered | None = field(default=None, repr=False)
    """Its words, from the first attempt on: what is sent again is the same."""
