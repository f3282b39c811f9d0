"""What a connector is given to deliver: one rendered message about one transition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template's result, within the bounds of `streams.notify.plan.render`."""

    title: str
    """One line of plain text: no markup, nothing escaped."""
    body: str
    """Lines in the destination's dialect; may be empty."""


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt. All but `attempt` and `sent_at_ms` are the same on every attempt."""

    delivery_id: str
    attempt: int
    sent_at_ms: int
    play: str
    transition: Mapping[str, Any]
    """The transition as it stood on the log."""
    rendered: Rendered
