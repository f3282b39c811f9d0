"""A click as an event of the account.

Its id is a function of the delivery, the address and the minute: a double click, and a request that a proxy repeats,
are one event, and later clicks are others. It is a track call, so a catalog that should not take it for use of the
product names it among its `signals`: who clicks in a team's own Slack is nobody of the account.
"""

from typing import Final
from uuid import UUID, uuid5

import msgspec

from schemas.timestamps import MINUTE_MS, format_ms
from streams.links.token import Link

EVENT: Final = "pegel_link_clicked"
WHO: Final = "pegel-link"
NAMESPACE: Final = UUID("2f0d6a2e-5c0b-5f0c-9a54-0b6b7a0a6b1d")
SEPARATOR: Final = "\x1f"


def message_id(link: Link, now_ms: int) -> str:
    return str(uuid5(NAMESPACE, SEPARATOR.join((link.delivery_id, link.url, str(now_ms // MINUTE_MS)))))


def event_of(link: Link, now_ms: int) -> bytes:
    """The record's value for product.events.v1."""
    at = format_ms(now_ms)
    return msgspec.json.encode(
        {
            "type": "track",
            "event": EVENT,
            "messageId": message_id(link, now_ms),
            "anonymousId": WHO,
            "timestamp": at,
            "receivedAt": at,
            "context": {"groupId": link.account_id, "library": {"name": WHO}},
            "properties": {"delivery_id": link.delivery_id, "play": link.play, "url": link.url},
        }
    )
