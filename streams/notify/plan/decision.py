"""What the plan decides: a delivery to open, or why it is not told, or not now."""

from dataclasses import dataclass
from typing import Final

from schemas.action import ActionOutcome, Arm, Reason
from streams.notify.plan.delivery import Delivery

LATER: Final = frozenset(
    {
        Reason.QUIET_HOURS,
        Reason.GROUPED,
        Reason.GATHERED,
        Reason.DWELLING,
        Reason.NEXT_STEP,
        Reason.IN_ORDER,
        Reason.OVER_BUDGET,
    }
)
"""Not the end: what waits for one of these comes back, as PLANNED or with another reason."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a message. `delivery` names it in every case; it is to be opened if the reason is PLANNED."""

    delivery: Delivery
    reason: Reason
    arm: Arm | None = None
    """Where the play is measured: whether the account is told."""
    until_ms: int | None = None
    """When something that waits is looked at again."""

    @property
    def opens(self) -> bool:
        return self.reason is Reason.PLANNED

    @property
    def outcome(self) -> ActionOutcome | None:
        """What to report; None for a delivery to open, whose end is yet to come."""
        if self.opens:
            return None
        if self.reason is Reason.EXPOSED:
            return ActionOutcome.EXPOSED
        waits = self.reason in LATER and self.until_ms is not None
        return ActionOutcome.DEFERRED if waits else ActionOutcome.SUPPRESSED
