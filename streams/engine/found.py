"""What an evaluation finds: a transition, and how the membership that it begins will end.

Plain classes and no msgspec structs, as accounts are: compiled, an attribute of theirs is a field of a C structure, and
what goes out is made of a dozen of them.
"""

from typing import Any, Literal, final

from schemas.event import EventType

Direction = Literal["entered", "exited", "moved"]
Cause = Literal["deadline", "thresholds", "catalog", "rebuild"]
Trigger = tuple[str, EventType] | Cause  # message id and type, or the cause


@final
class Forecast:  # noqa: PLW1641 - nobody looks one up
    """The end of a membership if no record comes: when (ms UTC), how, and on a move to which segment."""

    __slots__ = ("direction", "leaves_at", "to")

    def __init__(self, leaves_at: int, direction: Literal["exited", "moved"], to: str | None) -> None:
        self.leaves_at = leaves_at
        self.direction = direction
        self.to = to

    def _fields(self) -> tuple[Any, ...]:
        return self.leaves_at, self.direction, self.to

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forecast) and self._fields() == other._fields()

    def __repr__(self) -> str:
        return f"Forecast{self._fields()}"


@final
class Transition:  # noqa: PLW1641 - as above
    """A change of membership. Times in ms UTC; `entered_at` is when the left membership began.

    `forecast` is how the membership entered ends if no record comes; None where none was entered, or none ends.
    `announced`: of a catalog change that is to be told to people. `arrived_at`: when the record arrived that triggered
    it; None where none did. `facts`: of the traits that go with transitions by the catalog, those that there were then.
    """

    __slots__ = (
        "account_id", "announced", "arrived_at", "catalog_version", "direction", "effective_at", "entered_at",
        "evidence", "facts", "forecast", "from_segment", "group", "segment", "sequence", "trigger",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - so much there is to say of one
        self,
        account_id: str,
        segment: str,
        direction: Direction,
        group: str | None,
        from_segment: str | None,
        effective_at: int,
        sequence: int,
        catalog_version: str,
        evidence: dict[str, Any],
        trigger: Trigger,
        entered_at: int | None,
        forecast: Forecast | None = None,
        *,
        announced: bool = False,
        arrived_at: int | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.account_id = account_id
        self.segment = segment
        self.direction = direction
        self.group = group
        self.from_segment = from_segment
        self.effective_at = effective_at
        self.sequence = sequence
        self.catalog_version = catalog_version
        self.evidence = evidence
        self.trigger = trigger
        self.entered_at = entered_at
        self.forecast = forecast
        self.announced = announced
        self.arrived_at = arrived_at
        self.facts = facts

    def _fields(self) -> tuple[Any, ...]:
        return (
            self.account_id, self.segment, self.direction, self.group, self.from_segment, self.effective_at,
            self.sequence, self.catalog_version, self.evidence, self.trigger, self.entered_at, self.forecast,
            self.announced, self.arrived_at, self.facts,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Transition) and self._fields() == other._fields()

    def __repr__(self) -> str:
        return f"Transition{self._fields()}"
