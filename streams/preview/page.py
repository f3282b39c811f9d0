"""Messages as a channel or a mailbox would show them, on one page that needs nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final

from streams.connectors.dialects import Dialect
from streams.connectors.links import usable_links
from streams.connectors.message import Rendered
from streams.dev.slack.page import markup_as_html
from streams.preview.messages import Preview

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d1c1d; --soft: #616061; --line: #dddddd; --ground: #ffffff; --card: #f8f8f8;
  --bad: #a3321f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e4e6; --soft: #a3a6aa; --line: #3a3d42; --ground: #1a1d21;
  --card: #222529; --bad: #ff8f7a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 46rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin: 2rem 0 .4rem; } .soft { color: var(--soft); font-size: .85rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .7rem 1rem; }
article p { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
article.slack { border-left: 4px solid var(--line); } article .title { font-weight: 700; }
article.mail .title { border-bottom: 1px solid var(--line); padding-bottom: .4rem; margin-bottom: .5rem; }
.button { display: inline-block; border: 1px solid var(--line); border-radius: 4px; padding: .1rem .7rem;
  margin: .4rem .4rem 0 0; } code { border: 1px solid var(--line); border-radius: 3px; padding: 0 .2rem; }
.problem { color: var(--bad); }
"""
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)


def page(previews: Sequence[Preview], name: str) -> str:
    cards = "\n".join(_section(one) for one in previews)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pegel: messages of {escape(name)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Messages of {escape(name)}</h1>
{cards}
</main>
</body>
</html>
"""


def _section(one: Preview) -> str:
    step = f", step {one.step}" if one.step else ""
    heading = f"<h2>{escape(one.play)}{escape(step)}</h2>"
    about = f'<p class="soft">{escape(one.template)} to {escape(one.destination)} ({escape(one.kind)})</p>'
    if one.rendered is None:
        return f'<section>{heading}{about}<p class="problem">{escape(one.problem)}</p></section>'
    return f"<section>{heading}{about}{_card(one.rendered, one.dialect)}</section>"


def _card(rendered: Rendered, dialect: Dialect) -> str:
    look = "slack" if dialect is Dialect.SLACK else "mail"
    lines = rendered.body.splitlines()
    body = "\n".join(markup_as_html(line) if dialect is Dialect.SLACK else escape(line) for line in lines)
    buttons = "".join(
        f'<a class="button" href="{escape(url)}" rel="noreferrer">{escape(label)}</a>'
        for label, url in usable_links(rendered)
    )
    return f'<article class="{look}"><p class="title">{escape(rendered.title)}</p><p>{body}</p>{buttons}</article>'
