"""What is sent to HubSpot."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.timestamps import HOUR_MS, format_ms, parse_ms
from streams.connectors.batches import Record
from streams.connectors.dialects import cut
from streams.connectors.fields import Scalar
from streams.connectors.links import usable_links
from streams.connectors.message import Message

TASK_TO_COMPANY: Final = 192
SUBJECT_CHARS_MAX: Final = 200
BODY_CHARS_MAX: Final = 60_000
"""Of HTML: HubSpot takes 65,536 characters."""
TEXT_CHARS_MAX: Final = 8_000
LINE_END: Final = "<br>"


def text_of(value: Scalar) -> str:
    """Every value is text to HubSpot; an empty one clears the property."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def upsert_body(records: Sequence[Record], id_property: str) -> bytes:
    """Create or update companies, each found by its unique property."""
    return msgspec.json.encode(
        {
            "inputs": [
                {
                    "id": record.key,
                    "idProperty": id_property,
                    "objectWriteTraceId": record.trace,
                    "properties": {
                        id_property: record.key,
                        **{name: text_of(value) for name, value in record.fields.items()},
                    },
                }
                for record in records
            ]
        }
    )


def marker_of(delivery_id: str) -> str:
    """Stands in the body of a task, so that a repeat can be told from another task."""
    return f"[pegel {delivery_id}]"


def task_body(
    message: Message, companies: Sequence[str], given: Mapping[str, Any], owner_id: str | None, due_h: float
) -> bytes:
    """A task about companies; `given` are its fixed properties."""
    properties = {
        "hs_timestamp": format_ms(_moment_ms(message) + round(due_h * HOUR_MS)),
        "hs_task_subject": cut(message.rendered.title, SUBJECT_CHARS_MAX),
        "hs_task_body": _rich(message),
        "hs_task_status": "NOT_STARTED",
        **given,
    }
    if owner_id is not None:
        properties["hubspot_owner_id"] = owner_id
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TASK_TO_COMPANY}
    return msgspec.json.encode(
        {
            "properties": properties,
            "associations": [{"to": {"id": company}, "types": [kind]} for company in companies],
        }
    )


def owner_of(message: Message, default: str | None) -> str | None:
    """HubSpot knows people by number; other words for them are somebody else's."""
    owner = message.owner or ""
    return owner if owner.isascii() and owner.isdigit() else default


def property_body(name: str, source: str, *, unique: bool) -> bytes:
    """Make a company property that holds what the source gives."""
    kind, field_type = KINDS.get(source, ("string", "text"))
    made: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").strip().capitalize(),
        "groupName": "companyinformation",
        "type": kind,
        "fieldType": field_type,
        "description": "Written by Pegel.",
        "hasUniqueValue": unique,
    }
    if kind == "bool":
        made["options"] = [
            {"label": label, "value": value, "displayOrder": place}
            for place, (label, value) in enumerate((("Yes", "true"), ("No", "false")))
        ]
    return msgspec.json.encode(made)


KINDS: Final = {
    "member": ("bool", "booleancheckbox"),
    "=true": ("bool", "booleancheckbox"),
    "=false": ("bool", "booleancheckbox"),
    "effective_at": ("datetime", "date"),
    "entered_at": ("datetime", "date"),
    "leaves_at": ("datetime", "date"),
    "sequence": ("number", "number"),
    "dwell_days": ("number", "number"),
}


def _moment_ms(message: Message) -> int:
    """Equal on every attempt where the message is about a transition."""
    at = message.transition.get("effective_at")
    moment_ms = parse_ms(at) if isinstance(at, str) else None
    return message.sent_at_ms if moment_ms is None else moment_ms


def _rich(message: Message) -> str:
    """The body as the HTML that tasks hold; nothing from outside is markup. The marker always fits."""
    lines = [html.escape(line) for line in cut(message.rendered.body, TEXT_CHARS_MAX).splitlines()]
    links = usable_links(message.rendered)
    lines += [f'<a href="{html.escape(url)}">{html.escape(label)}</a>' for label, url in links]
    kept: list[str] = []
    length = 0
    for line in lines:
        length += len(line) + len(LINE_END)
        if length <= BODY_CHARS_MAX:
            kept.append(line)
    return LINE_END.join([*kept, marker_of(message.delivery_id)])
