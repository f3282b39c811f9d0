"""The message as Slack's blocks, within Slack's limits.

The title is plain text (nothing in an account's name becomes markup), the body Slack's own markup with what came from
outside escaped by the renderer. `text` is what notifications and screen readers show.
"""

import re
from typing import Any, Final

from streams.connectors.dialects import Dialect, cut, escape
from streams.connectors.links import usable_links
from streams.connectors.message import Message

HEADER_CHARS_MAX: Final = 150
SECTION_CHARS_MAX: Final = 3_000
CONTEXT_CHARS_MAX: Final = 300
BUTTON_CHARS_MAX: Final = 75
BODY_CHARS_MAX: Final = 9_000
"""Slack refuses messages of about 13,000 characters in all without saying where the limit is: stay well below."""

USER: Final = re.compile(r"[UW][A-Z0-9]{2,20}")
USER_GROUP: Final = re.compile(r"S[A-Z0-9]{2,20}")

Payload = dict[str, Any]


def payload_of(message: Message) -> Payload:
    title, body = message.rendered.title, message.rendered.body
    blocks: list[Payload] = [
        {"type": "header", "block_id": message.delivery_id, "text": _plain(cut(title, HEADER_CHARS_MAX))}
    ]
    # verbatim: an account is often a domain, and Slack would make a link of it
    blocks += (
        {"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}}
        for part in sections(cut(body, BODY_CHARS_MAX))
    )
    buttons = [_button(number, label, url) for number, (label, url) in enumerate(usable_links(message.rendered), 1)]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    blocks.append({"type": "context", "elements": _footer(message)})
    return {
        "text": escape(cut(title, HEADER_CHARS_MAX), Dialect.SLACK),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


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


def mention(owner: str) -> str:
    """The owner in Slack's markup: a user's or a user group's id calls them, everything else is only written."""
    if USER.fullmatch(owner):
        return f"<@{owner}>"
    if USER_GROUP.fullmatch(owner):
        return f"<!subteam^{owner}>"
    return escape(owner, Dialect.SLACK)


def _plain(text: str) -> Payload:
    return {"type": "plain_text", "text": text, "emoji": False}


def _button(number: int, label: str, url: str) -> Payload:
    return {"type": "button", "action_id": f"link-{number}", "text": _plain(cut(label, BUTTON_CHARS_MAX)), "url": url}


def _footer(message: Message) -> list[Payload]:
    when = message.transition.get("effective_at")
    origin = f"{when} · play {message.play}" if when else f"play {message.play}"
    footer = [_plain(cut(origin, CONTEXT_CHARS_MAX))]
    owner = (message.owner or "").strip()
    if owner:
        footer.append({"type": "mrkdwn", "text": f"for {cut(mention(owner), CONTEXT_CHARS_MAX)}", "verbatim": True})
    return footer
