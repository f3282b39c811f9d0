"""What an evaluation finds: a transition, and how the membership that it begins will end.

Values of msgspec's kind, which is why they are not in the modules that make them: those can be compiled.
"""

from typing import Any, Literal

import msgspec

from schemas.event import EventType


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """The end of a membership if no record comes: when (ms UTC), how, and on a move to which segment."""

    leaves_at: int
    direction: Literal["exited", "moved"]
    to: str | None


Direction = Literal["entered", "exited", "moved"]
Cause = Literal["deadline", "thresholds", "catalog", "rebuild"]
Trigger = tuple[str, EventType] | Cause  # message id and type, or the cause


class Transition(msgspec.Struct, frozen=True, gc=False):
    """A change of membership. Times in ms UTC; `entered_at` is when the left membership began.

    `forecast` is how the membership entered ends if no record comes; None where none was entered, or none ends.
    `announced`: of a catalog change that is to be told to people. `arrived_at`: when the record arrived that triggered
    it; None where none did. `facts`: of the traits that go with transitions by the catalog, those that there were then.
    """

    account_id: str
    segment: str
    direction: Direction
    group: str | None
    from_segment: str | None
    effective_at: int
    sequence: int
    catalog_version: str
    evidence: dict[str, Any]
    trigger: Trigger
    entered_at: int | None
    forecast: Forecast | None = None
    announced: bool = False
    arrived_at: int | None = None
    facts: dict[str, Any] | None = None
