"""A delivery: one piece of news, or several, for one destination in the words of one template.

Its id is a function of these three, so it is the same on every attempt, after a restart, on another worker, and when
two plays ask for the same; whoever receives it can use it to drop a repeat. Of a digest it is a function of all that it
tells of, of a list of the play and the time it was due, of a step also of its number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from streams.connectors.message import MessageKind, Rendered
from streams.notify.plan.news import News

NAMESPACE: Final = UUID("f7a4f6a0-3b59-5a0e-9d0c-70c1c8c5b9a1")
SEPARATOR: Final = "\x1f"


Facts = Mapping[str, str]


def delivery_id(destination: str, transition_id: str, template: str, *more: str) -> str:
    """`more`: what tells messages apart that agree in these, as the steps of a sequence."""
    return str(uuid5(NAMESPACE, SEPARATOR.join((destination, transition_id, template, *more))))


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
class Item:
    """One thing that a delivery tells of: a transition, or in a list one member of a segment."""

    news: News
    source: Source
    facts: Facts = field(default_factory=dict, repr=False)
    """What is known of the account beside the news: texts by name, as `name`, `owner`, `timezone`."""
    owner: str | None = None
    """Whom it concerns, in the words of the destination."""


@dataclass(frozen=True, slots=True)
class SinceLast:
    """How a list differs from the one before: accounts that came and went."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    at_ms: int | None
    """When the one before was made; None: there is none."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An open delivery. `news`, `source`, `facts` and `owner` are of the leading item."""

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
    kind: MessageKind = MessageKind.NOTE
    facts: Facts = field(default_factory=dict, repr=False)
    owner: str | None = None
    others: tuple[Item, ...] = field(default=(), repr=False)
    """Of a digest or list, what follows the leading item."""
    more: int = 0
    """Of a digest or list, so many more are told as a number only."""
    step: int = 0
    """Which message of a sequence it is; 0 is the first."""
    scheduled_at_ms: int | None = None
    """The time of a list, digest or step by its schedule."""
    since_last: SinceLast | None = field(default=None, repr=False)
    lane: str = ""
    """What it must stay in order with; empty: the deliveries about its account."""

    @property
    def items(self) -> tuple[Item, ...]:
        """All that it tells of, the leading one first."""
        return (Item(self.news, self.source, self.facts, self.owner), *self.others)
