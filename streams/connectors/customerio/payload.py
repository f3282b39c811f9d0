"""What is sent to Customer.io."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.timestamps import SECOND_MS, parse_ms
from streams.connectors.batches import Record
from streams.connectors.customerio.ulid import ulid_of
from streams.connectors.fields import written
from streams.connectors.message import Message

ACCOUNTS_MAX: Final = 100
TITLE_CHARS_MAX: Final = 500
BODY_CHARS_MAX: Final = 5_000


@dataclass(slots=True)
class Event:
    """One event, encoded."""

    body: bytes
    messages: list[int]


def batch_body(entries: Sequence[bytes]) -> bytes:
    return b'{"batch":[' + b",".join(entries) + b"]}"


def object_of(record: Record, object_type_id: str) -> bytes:
    """Create an account's object or update its attributes."""
    return msgspec.json.encode(
        {
            "type": "object",
            "action": "identify",
            "identifiers": {"object_type_id": object_type_id, "object_id": record.key},
            # Customer.io takes a null away only as an empty text
            "attributes": {name: "" if value is None else value for name, value in record.fields.items()},
        }
    )


def event_of(message: Message, name: str, person: Mapping[str, str], properties: Mapping[str, str]) -> bytes:
    """An event of a person; a repeat has the same id."""
    item = message.transition
    at = item.get("effective_at")
    at_ms = parse_ms(at) if isinstance(at, str) else None
    moment_ms = 0 if at_ms is None else at_ms
    event: dict[str, Any] = {
        "type": "person",
        "action": "event",
        "identifiers": person,
        "name": name,
        "id": ulid_of(message.delivery_id, moment_ms),
        "attributes": {
            "account_id": message.account,
            "accounts": accounts_of(message),
            "segment": item.get("segment"),
            "direction": item.get("direction"),
            "from_segment": item.get("from_segment"),
            "play": message.play,
            "title": message.rendered.title[:TITLE_CHARS_MAX],
            "text": message.rendered.body[:BODY_CHARS_MAX],
            "delivery_id": message.delivery_id,
            **written(properties, message, item),
        },
    }
    if at_ms is not None:
        event["timestamp"] = at_ms // SECOND_MS
    return msgspec.json.encode(event)


def accounts_of(message: Message) -> list[str]:
    """The accounts that the message is about, each once."""
    items = message.items or (message.transition,)
    return list(dict.fromkeys(str(item["account_id"]) for item in items if item.get("account_id")))[:ACCOUNTS_MAX]
