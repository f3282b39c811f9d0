"""What a connector is given to deliver: one rendered message, and what it is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class MessageKind(StrEnum):
    NOTE = "note"
    """About one transition."""
    DIGEST = "digest"
    """About several transitions, gathered."""
    LIST = "list"
    """The members of a segment."""
    TEST = "test"
    """Sent by an operator to see whether the destination works; about nothing."""


@dataclass(frozen=True, slots=True)
class Link:
    """Something to do about it: a button where the destination has buttons, else a line."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template's result, within the bounds of `streams.notify.plan.render`."""

    title: str
    """One line of plain text: no markup, nothing escaped."""
    body: str
    """Lines in the destination's dialect; may be empty."""
    links: tuple[Link, ...] = ()
    """Plain text and plain URLs; a connector leaves out what is no web address."""


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt. Equal on every attempt, but for what is said of the attempt itself and for the two refs."""

    delivery_id: str
    attempt: int
    sent_at_ms: int
    play: str
    transition: Mapping[str, Any]
    """The leading item: for a note the transition as it stood on the log, for a list its first member; or empty."""
    rendered: Rendered
    kind: MessageKind = MessageKind.NOTE
    items: tuple[Mapping[str, Any], ...] = ()
    """All that it is about, the leading item first; one for a note."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Traits of the leading item's account."""
    owner: str | None = None
    """Whom it concerns, in the words of the destination: an address, a user id, a channel."""
    thread_ref: str | None = None
    """The ref of the first message about this account at this destination."""
    edit_ref: str | None = None
    """The ref of an earlier message that this one takes the place of."""
    after_ambiguous: bool = False
    """An earlier attempt may have got through; nobody knows. Connectors that can look it up do so before they repeat.

    It is so after an AMBIGUOUS outcome, and after a restart that left no word of how an attempt ended.
    """
    traceparent: str | None = None
    """The attempt's W3C trace context, if what it tells of is traced. Only for receivers of the operator's own."""

    @property
    def account(self) -> str:
        """The leading item's account; empty if there is none."""
        return str(self.transition.get("account_id") or "")
