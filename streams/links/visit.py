"""Whether a request for a link may be a person's click.

Chats and mail programs look at links before anybody reads them: with HEAD, with a prefetch header, or under a name of
their own. A browser calls itself `Mozilla/5.0`, and so do some robots, which say what they are further on. Scanners
that pose as a browser cannot be told from one: clicks in mails are an upper bound.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

BROWSER: Final = "Mozilla/"
ROBOT: Final = re.compile(
    r"bot[/;_+-]|crawl|spider|slurp|preview|prefetch|scanner|headless|monitor|linkexpanding|imageproxy|"
    r"facebookexternalhit|mimecast|barracuda|proofpoint|safelinks|lighthouse",
    re.IGNORECASE,
)
EARLY_HEADERS: Final = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
EARLY: Final = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)


class Visit(StrEnum):
    """What a followed link was; only a click is an event."""

    CLICK = "click"
    HEAD = "head"
    PREFETCH = "prefetch"
    ROBOT = "robot"


def visit_of(method: str, headers: Mapping[str, str]) -> Visit:
    if method == "HEAD":
        return Visit.HEAD
    if any(EARLY.search(headers.get(name, "")) for name in EARLY_HEADERS):
        return Visit.PREFETCH
    agent = headers.get("User-Agent", "")
    return Visit.CLICK if agent.startswith(BROWSER) and not ROBOT.search(agent) else Visit.ROBOT
