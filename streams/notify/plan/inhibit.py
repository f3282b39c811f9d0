"""What makes a message pointless: the account is in a segment beside which this one does not matter."""

from collections.abc import Collection

from schemas.action import Reason
from schemas.playbook import Play


def inhibition(play: Play, segments: Collection[str]) -> Reason:
    """PLANNED, or INHIBITED while the account is in one of the segments that the play names."""
    return Reason.INHIBITED if any(name in segments for name in play.inhibited_by) else Reason.PLANNED
