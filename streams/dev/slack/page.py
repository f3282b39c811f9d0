"""The messages as a channel would show them: one page without scripts that reloads itself."""

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from typing import Final

RELOAD_S: Final = 2

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1d1c1d; }
h1 { font-size: 1.1rem; border-bottom: 1px solid #ddd; padding-bottom: .6rem; }
article { padding: .6rem 0; border-bottom: 1px solid #eee; }
article p { margin: .15rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
article p:first-of-type { font-weight: 700; }
article p:last-of-type { color: #696969; font-size: .85rem; }
time, .channel { color: #696969; font-size: .8rem; }
code { background: #f4f4f4; border: 1px solid #e4e4e4; border-radius: 3px; padding: 0 .2rem; }
@media (prefers-color-scheme: dark) {
  body { background: #1a1d21; color: #d1d2d3; } article, h1 { border-color: #35373b; }
  code { background: #232529; border-color: #35373b; }
}
"""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
MARKUP: Final = re.compile(r"<([^<>]+)>")
BOLD: Final = re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])")
CODE: Final = re.compile(r"`([^`\n]+)`")


def page_of(messages: Iterable[tuple[str, str, Sequence[str]]]) -> str:
    """Newest first: when, where, and the texts of each."""
    articles = "\n".join(_article(*message) for message in messages)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="{RELOAD_S}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pegel: messages</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Messages, as a Slack channel would show them</h1>
<main>
{articles or "<p>Nothing yet. This page reloads itself.</p>"}
</main>
</body>
</html>
"""


def _article(received_at: str, channel: str, texts: Sequence[str]) -> str:
    lines = "".join(f"<p>{markup_as_html(text)}</p>" for text in texts)
    return (
        f'<article><span class="channel">#{html.escape(channel)}</span> '
        f'<time datetime="{html.escape(received_at)}">{html.escape(received_at[11:19])}</time>{lines}</article>'
    )


def markup_as_html(text: str) -> str:
    """Slack's markup: links, bold and code; everything else is text."""
    parts = MARKUP.split(text)
    return "".join(_link(part) if index % 2 else _plain(part) for index, part in enumerate(parts))


def _plain(text: str) -> str:
    escaped = html.escape(_unescaped(text))
    return CODE.sub(r"<code>\1</code>", BOLD.sub(r"<strong>\1</strong>", escaped))


def _link(inside: str) -> str:
    target, _, label = inside.partition("|")
    shown = html.escape(_unescaped(label or target))
    if not target.startswith(("https://", "http://", "mailto:")):
        return shown
    return f'<a href="{html.escape(_unescaped(target))}" rel="noreferrer">{shown}</a>'


def _unescaped(text: str) -> str:
    for entity, character in ENTITIES:
        text = text.replace(entity, character)
    return text
