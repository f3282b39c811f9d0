"""The message as Slack's blocks, within Slack's limits.

The title is plain text (nothing in an account's name becomes markup), the body Slack's own markup with what came from
outside escaped by the renderer. `text` is what notifications and screen readers show.
"""

from typing import Any, Final

import msgspec

from streams.connectors.dialects import Dialect, cut, escape
from streams.connectors.message import Message

HEADER_CHARS_MAX: Final = 150
SECTION_CHARS_MAX: Final = 3_000
CONTEXT_CHARS_MAX: Final = 300
BODY_CHARS_MAX: Final = 9_000
"""Slack refuses messages of about 13,000 characters in all without saying where the limit is: stay well below."""


def payload_of(message: Message) -> bytes:
    title, body = message.rendered.title, message.rendered.body
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": message.delivery_id,
            "text": {"type": "plain_text", "text": cut(title, HEADER_CHARS_MAX), "emoji": False},
        }
    ]
    # verbatim: an account is often a domain, and Slack would make a link of it
    blocks += (
        {"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}}
        for part in sections(cut(body, BODY_CHARS_MAX))
    )
    blocks.append(
        {
            "type": "context",
            "elements": [{"type": "plain_text", "text": cut(_footer(message), CONTEXT_CHARS_MAX), "emoji": False}],
        }
    )
    return msgspec.json.encode(
        {
            "text": escape(cut(title, HEADER_CHARS_MAX), Dialect.SLACK),
            "blocks": blocks,
            "unfurl_links": False,
            "unfurl_media": False,
        }
    )


def sections(body: str) -> list[str]:
    """Split at line ends into parts that a section may hold; a longer line is cut."""
    parts: list[str] = []
    current = ""
    for line in body.splitlines():
        line = cut(line, SECTION_CHARS_MAX)  # noqa: PLW2901 - the same line, shorter
        if current and len(current) + 1 + len(line) > SECTION_CHARS_MAX:
            parts.append(current)
            current = line
        else:
            current = f"{current}\n{line}" if current else line
    if current.strip():
        parts.append(current)
    return parts


def _footer(message: Message) -> str:
    return f"{message.transition.get('effective_at', '')} · play {message.play}"
