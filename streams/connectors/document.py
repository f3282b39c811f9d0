"""A message as JSON, for whoever reads it with a program: the same fields wherever it is written."""

from typing import Any

from streams.connectors.links import usable_links
from streams.connectors.message import Message


def document_of(message: Message) -> dict[str, Any]:
    """Equal on every attempt."""
    return {
        "delivery_id": message.delivery_id,
        "kind": message.kind,
        "play": message.play,
        "title": message.rendered.title,
        "text": message.rendered.body,
        "links": [{"label": label, "url": url} for label, url in usable_links(message.rendered)],
        "owner": message.owner,
        "facts": message.facts,
        "transition": message.transition,
        "items": message.items,
    }
