"""Not again, or not so soon: the cooldown of a segment at a destination, and how often a play tells of an account.

Both look at when a message was planned, also of an account that is held out: it is treated as if it had been told, or
the arms of a comparison would not be alike.
"""

from collections.abc import Mapping
from typing import Final

from schemas.action import Reason
from schemas.playbook import Play

DAY_MS: Final = 86_400_000


def throttle(
    play: Play, segment: str, told_segments: Mapping[str, int], told_plays: Mapping[str, int], now_ms: int
) -> Reason:
    """PLANNED, or why it is too soon. `told_...`: when the account was last told of, by segment and by play."""
    told_ms = told_plays.get(play.id)
    if told_ms is not None and play.reentry is not None and _barred(play, now_ms - told_ms):
        return Reason.REENTRY
    told_ms = told_segments.get(segment)
    if told_ms is not None and play.cooldown_days is not None and now_ms - told_ms < play.cooldown_days * DAY_MS:
        return Reason.COOLDOWN
    return Reason.PLANNED


def _barred(play: Play, since_ms: int) -> bool:
    if play.reentry is None:
        return False
    return play.reentry.once or (play.reentry.every_days is not None and since_ms < play.reentry.every_days * DAY_MS)
