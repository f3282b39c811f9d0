"""What the canary does to be in a segment and out of it again, as often as it likes: events that undo each other.

Ways are tried in this order. A trait of the canary's own needs a rule that asks for it; billing works with every
catalog that asks for the stage, an answer to the NPS question with those that ask for that. None is activity as long
as the catalog leaves billing and surveys among its signals: what is counted of usage stays 0, and no user is named.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec

from schemas.canary import CANARY_PREFIX
from schemas.timestamps import format_ms

TRAIT: Final = "pegel_canary"


class Side(StrEnum):
    IN = "in"
    OUT = "out"

    @property
    def other(self) -> "Side":
        return Side.OUT if self is Side.IN else Side.IN


class Way(StrEnum):
    TRAIT = "trait"
    BILLING = "billing"
    SURVEY = "survey"


_BILLING: Final = {Side.IN: "subscription_started", Side.OUT: "subscription_cancelled"}
_SCORES: Final = {Side.IN: 10, Side.OUT: 0}


def event_of(way: Way, side: Side, account: str, message_id: str, at_ms: int) -> bytes:
    """The record's value for product.events.v1."""
    at = format_ms(at_ms)
    event: dict[str, Any] = {"messageId": message_id, "timestamp": at, "receivedAt": at}
    match way:
        case Way.TRAIT:
            event |= {"type": "group", "groupId": account, "traits": {TRAIT: side.value}}
        case Way.BILLING:
            event |= {"type": "track", "event": _BILLING[side], "context": {"groupId": account}}
        case Way.SURVEY:
            event |= {"type": "track", "event": "nps_answered", "context": {"groupId": account}}
            # An answer is somebody's; the account's mean is over its users, so it is always the same one.
            event |= {"userId": f"{CANARY_PREFIX}user", "properties": {"score": _SCORES[side]}}
    return msgspec.json.encode(event)
