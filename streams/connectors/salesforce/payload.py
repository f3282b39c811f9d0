"""What is sent to Salesforce."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from schemas.timestamps import parse_ms
from streams.connectors.batches import Record
from streams.connectors.dialects import cut
from streams.connectors.links import usable_links
from streams.connectors.message import Message

SUBJECT_CHARS_MAX: Final = 255
DESCRIPTION_CHARS_MAX: Final = 32_000
USER_ID_CHARS: Final = (15, 18)


def collection_body(records: Sequence[Record], kind: str, external_id: str) -> bytes:
    """Create or update up to 200 records; each stands or falls alone."""
    return msgspec.json.encode(
        {
            "allOrNone": False,
            "records": [{"attributes": {"type": kind}, external_id: record.key, **record.fields} for record in records],
        }
    )


def task_body(message: Message, given: Mapping[str, Any], due_days: int, company: str | None) -> bytes:
    """A task; `given` are its fixed fields. Which task it is stands in the path."""
    fields = {
        "Subject": cut(message.rendered.title, SUBJECT_CHARS_MAX),
        "Description": cut(_description(message), DESCRIPTION_CHARS_MAX),
        "ActivityDate": _due(message, due_days),
        **given,
    }
    if company is not None:
        fields["WhatId"] = company
    return msgspec.json.encode(fields)


def owner_of(message: Message, default: str | None) -> str | None:
    """Salesforce knows people by ids of 15 or 18 characters; other words for them are somebody else's."""
    owner = message.owner or ""
    return owner if len(owner) in USER_ID_CHARS and owner.isascii() and owner.isalnum() else default


def accounts_of(message: Message) -> list[str]:
    """The accounts that the message is about, each once."""
    items = message.items or (message.transition,)
    return list(dict.fromkeys(str(item["account_id"]) for item in items if item.get("account_id")))


def _due(message: Message, due_days: int) -> str:
    """A day, equal on every attempt where the message is about a transition."""
    at = message.transition.get("effective_at")
    moment_ms = parse_ms(at) if isinstance(at, str) else None
    moment_s = (message.sent_at_ms if moment_ms is None else moment_ms) / 1_000
    return (datetime.fromtimestamp(moment_s, UTC) + timedelta(days=due_days)).date().isoformat()


def _description(message: Message) -> str:
    links = [f"{label}: {url}" for label, url in usable_links(message.rendered)]
    return "\n".join([message.rendered.body, *links]).strip()
