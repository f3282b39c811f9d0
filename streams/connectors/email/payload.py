"""The message as a mail: plain text, and the same as HTML.

Everything is plain text until it is put into the HTML, where all of it is escaped: no part of a title, a body or a name
is ever markup. Headers are made of one line each; addresses have been read strictly. The Message-ID is a function of
the delivery, so that a mail that was sent twice can be told, and many servers and programs show it once.
"""

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from streams.connectors.dialects import cut
from streams.connectors.email.addresses import domain_of, is_address
from streams.connectors.email.config import RECIPIENT, EmailConfig
from streams.connectors.links import usable_links
from streams.connectors.message import Message, MessageKind

SUBJECT_CHARS_MAX: Final = 200
ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9-]{1,64}@[A-Za-z0-9.-]{1,253}>")
URL: Final = re.compile(r"https?://[^\s<>\"'()]+")
POLICY: Final = SMTP.clone(cte_type="7bit", max_line_length=78)

STYLE: Final = "font-family:sans-serif;font-size:15px;line-height:1.5;color:#1a1a1a"
BUTTON: Final = (
    "display:inline-block;padding:8px 14px;margin:4px 8px 4px 0;background:#1a5fb4;color:#fff;text-decoration:none"
)


@dataclass(frozen=True, slots=True)
class Mail:
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes


def mail_of(message: Message, config: EmailConfig) -> Mail | None:
    """None: there is nobody to write to."""
    recipients = recipients_of(message, config)
    if not recipients:
        return None
    message_id = message_id_of(message.delivery_id, config.from_address)
    mail = EmailMessage(POLICY)
    mail["From"] = Address(config.from_name, addr_spec=config.from_address)
    mail["To"] = [Address(addr_spec=address) for address in recipients]
    mail["Subject"] = cut(_one_line(message.rendered.title), SUBJECT_CHARS_MAX) or "(no title)"
    mail["Date"] = datetime.fromtimestamp(message.sent_at_ms / 1_000, UTC)
    mail["Message-ID"] = message_id
    # What is about several accounts answers nothing that was said of one.
    if message.kind is MessageKind.NOTE and MESSAGE_ID.fullmatch(message.thread_ref or ""):
        mail["In-Reply-To"] = message.thread_ref
        mail["References"] = message.thread_ref
    mail["Auto-Submitted"] = "auto-generated"
    _add_unsubscribe(mail, config, recipients)
    mail.set_content(text_of(message))
    mail.add_alternative(html_of(message), subtype="html")
    _set_boundary(mail, message_id)
    return Mail(message_id, config.from_address, recipients, mail.as_bytes())


def recipients_of(message: Message, config: EmailConfig) -> tuple[str, ...]:
    """The owner alone, where there is one with an address; else who is named in the config."""
    if config.to_owner:
        for candidate in (message.owner, message.facts.get("owner_email")):
            if candidate is not None and is_address(candidate.strip()):
                return (candidate.strip(),)
    return tuple(dict.fromkeys(config.to))


def message_id_of(delivery_id: str, from_address: str) -> str:
    # A delivery id is a UUID; anything else is written so that it cannot be more than one.
    name = delivery_id if ID.fullmatch(delivery_id) else blake2b(delivery_id.encode(), digest_size=20).hexdigest()
    return f"<{name}@{domain_of(from_address)}>"


def text_of(message: Message) -> str:
    parts = [_clean(message.rendered.title), *_lines(message)]
    parts += [f"{label}: {url}" for label, url in usable_links(message.rendered)]
    return "\n".join([*parts, "", "-- ", _footer(message)]) + "\n"


def html_of(message: Message) -> str:
    lines = "<br>\n".join(_linked(line) for line in _lines(message))
    buttons = "".join(
        f'<a href="{html.escape(url)}" style="{BUTTON}">{html.escape(label)}</a>'
        for label, url in usable_links(message.rendered)
    )
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>\n'
        f'<body style="{STYLE}">\n'
        f"<h2>{html.escape(_clean(message.rendered.title))}</h2>\n"
        f"<p>{lines}</p>\n"
        f"<p>{buttons}</p>\n"
        f'<p style="color:#666;font-size:12px">{html.escape(_footer(message))}</p>\n'
        "</body></html>\n"
    )


def _add_unsubscribe(mail: EmailMessage, config: EmailConfig, recipients: tuple[str, ...]) -> None:
    ways = []
    if config.unsubscribe_url is not None and (RECIPIENT not in config.unsubscribe_url or len(recipients) == 1):
        ways.append(f"<{config.unsubscribe_url.replace(RECIPIENT, quote(recipients[0], safe=''))}>")
    if config.unsubscribe_address is not None:
        ways.append(f"<mailto:{quote(config.unsubscribe_address, safe='@')}?subject=unsubscribe>")
    if ways:
        mail["List-Unsubscribe"] = ", ".join(ways)
    if ways and ways[0].startswith("<https:"):
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _set_boundary(mail: EmailMessage, message_id: str) -> None:
    """Equal on every attempt. It cannot occur in the parts: they are encoded, and no code has two underscores."""
    mail.set_boundary("__pegel_" + message_id.strip("<>").partition("@")[0])


def _lines(message: Message) -> list[str]:
    return [_clean(line) for line in message.rendered.body.splitlines()]


def _linked(line: str) -> str:
    """Escaped, with its web addresses as links."""
    parts: list[str] = []
    end = 0
    for found in URL.finditer(line):
        url = html.escape(found[0])
        parts += [html.escape(line[end : found.start()]), f'<a href="{url}">{url}</a>']
        end = found.end()
    return "".join([*parts, html.escape(line[end:])])


def _footer(message: Message) -> str:
    when = _clean(str(message.transition.get("effective_at") or ""))
    return f"{when} · play {message.play}" if when else f"play {message.play}"


def _clean(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _one_line(text: str) -> str:
    return " ".join(_clean(text).split())
