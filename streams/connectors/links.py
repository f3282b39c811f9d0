"""The links of a message that can be offered: web addresses, not too many, each with a label."""

import re
from typing import Final

from streams.connectors.message import Rendered

LINKS_MAX: Final = 5
URL_CHARS_MAX: Final = 3_000
LABEL_CHARS_MAX: Final = 75
WEB: Final = re.compile(r"https?://[^\s<>\"'\\]+")


def usable_links(rendered: Rendered) -> list[tuple[str, str]]:
    """Label and URL of each. What is no web address is left out: `javascript:` and the like must not get through."""
    found: list[tuple[str, str]] = []
    for link in rendered.links:
        label = " ".join("".join(c if c.isprintable() else " " for c in link.label).split())[:LABEL_CHARS_MAX]
        if label and link.url.isprintable() and len(link.url) <= URL_CHARS_MAX and WEB.fullmatch(link.url):
            found.append((label, link.url))
    return found[:LINKS_MAX]
