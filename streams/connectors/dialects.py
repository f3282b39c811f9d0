"""The markup that destinations read: how text is escaped for it, and shortened without breaking it."""

from enum import StrEnum
from typing import Final

ELLIPSIS: Final = "…"
ENTITY_CHARS_MAX: Final = 5


class Dialect(StrEnum):
    PLAIN = "plain"
    SLACK = "slack"


def escape(text: str, dialect: Dialect) -> str:
    """Take away any meaning that the text has in the dialect. Slack's are three characters, the ampersand first."""
    if dialect is Dialect.SLACK:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text


def cut(text: str, chars_max: int) -> str:
    """At most so many characters; not through the middle of an escaped character or of a link."""
    if len(text) <= chars_max:
        return text
    kept = text[: chars_max - len(ELLIPSIS)]
    entity = kept.rfind("&", max(0, len(kept) - ENTITY_CHARS_MAX))
    if entity >= 0 and ";" not in kept[entity:]:
        kept = kept[:entity]
    if kept.rfind("<") > kept.rfind(">"):
        kept = kept[: kept.rfind("<")]
    return kept + ELLIPSIS
