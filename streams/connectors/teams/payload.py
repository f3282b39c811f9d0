"""The message as an Adaptive Card, within the 28 KB that Teams takes.

Teams reads Markdown in text blocks and none in rich text, so all text is rich text: nothing in an account's name
becomes a link or a heading. What does not fit is cut at the end of the body, and the card says so.
"""

from typing import Any, Final

import msgspec

from streams.connectors.dialects import cut
from streams.connectors.links import usable_links
from streams.connectors.message import Message

CARD_VERSION: Final = "1.4"
PAYLOAD_BYTES_MAX: Final = 28 * 1_024
PAYLOAD_BYTES_KEPT: Final = 26_000
"""Stay below: what Teams itself adds to the message counts too."""
TITLE_CHARS_MAX: Final = 300
FOOTER_CHARS_MAX: Final = 300
LINE_CHARS_MAX: Final = 3_000
LINES_MAX: Final = 100
CUT: Final = "… (shortened)"

Part = dict[str, Any]


def payload_of(message: Message) -> bytes:
    lines = [cut(line, LINE_CHARS_MAX) for line in message.rendered.body.splitlines()]
    shortened = len(lines) > LINES_MAX
    lines = lines[:LINES_MAX]
    payload = _encoded(message, lines, shortened=shortened)
    while lines and size_of(payload) > PAYLOAD_BYTES_KEPT:
        # Links and footer are short by their own limits: without any line of the body it always fits.
        lines = lines[: len(lines) * 3 // 4]
        payload = _encoded(message, lines, shortened=True)
    return payload


def size_of(payload: bytes) -> int:
    """As Teams counts: in bytes, of two for each character where that is more."""
    return max(len(payload), 2 * len(payload.decode()))


def _encoded(message: Message, lines: list[str], *, shortened: bool) -> bytes:
    body = [_text(cut(message.rendered.title, TITLE_CHARS_MAX), weight="Bolder", size="Medium")]
    body[0]["id"] = message.delivery_id
    body += [_text(line, wide=index == 0) for index, line in enumerate(lines) if line.strip()]
    if shortened:
        body.append(_text(CUT, subtle=True))
    body.append(_text(cut(_footer(message), FOOTER_CHARS_MAX), subtle=True, size="Small"))
    card: Part = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": CARD_VERSION,
        "msteams": {"width": "Full"},
        "body": body,
    }
    links = usable_links(message.rendered)
    if links:
        card["actions"] = [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in links]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return msgspec.json.encode({"type": "message", "attachments": [attachment]})


def _text(
    text: str, *, weight: str = "Default", size: str = "Default", subtle: bool = False, wide: bool = False
) -> Part:
    run: Part = {"type": "TextRun", "text": text or " ", "weight": weight, "size": size, "isSubtle": subtle}
    return {"type": "RichTextBlock", "inlines": [run], "spacing": "Medium" if wide else "Small"}


def _footer(message: Message) -> str:
    parts = [
        f"for {message.owner}" if message.owner else "",
        str(message.transition.get("effective_at") or ""),
        f"play {message.play}",
    ]
    return " · ".join(part for part in parts if part)
