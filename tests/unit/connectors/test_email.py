"""What is the mail's own: who gets it, what stands in it, how it is secured, what a server's replies mean."""

import re
import socket
import ssl
import subprocess
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.connectors.email.addresses import is_address
from streams.connectors.email.answers import Step, outcome_of
from streams.connectors.email.config import EmailConfig
from streams.connectors.email.connector import EmailConnector
from streams.connectors.email.payload import html_of, mail_of, message_id_of, recipients_of, text_of
from streams.connectors.message import Link, Message, MessageKind, Rendered
from streams.connectors.outcome import Outcome
from streams.connectors.outcome import OutcomeKind as K
from tests.providers.smtp import PASSWORD, USER, Greeting, MailFault, MailServer, Taken
from tests.unit.connectors.kit import DELIVERY_ID, message
from tests.unit.connectors.kits.email import MailRig

TO = "team@acme.example"


def config(**more: Any) -> EmailConfig:
    usual = {
        "id": "mail",
        "type": "email",
        "host": "mail.acme.example",
        "from_address": "pegel@acme.example",
        "to": [TO],
    }
    return EmailConfig.model_validate(usual | more)


async def sent(server: MailServer, one: Message | None = None, /, **more: Any) -> Outcome:
    connector = EmailConnector(MailRig(server).config(**({"username": None, "password": None} | more)))
    try:
        return await connector.deliver(one or message())
    finally:
        await connector.close()


async def taken(one: Message, **more: Any) -> Taken:
    async with MailServer() as server:
        assert (await sent(server, one, **more)).kind is K.OK
        [found] = server.taken
        return found


async def test_a_mail_says_it_in_plain_text_and_in_html() -> None:
    links = (Link("Open in CRM", "https://crm.example/a?b=c&d=e"),)
    found = await taken(
        message(rendered=Rendered("acme: at risk", "Why: logins fell\nsee https://x.example/?a=1&b=2", links))
    )
    assert (found.sender, found.recipients) == ("pegel@acme.example", [TO])
    assert found.mail["Subject"] == "acme: at risk"
    assert found.mail["From"] == "Pegel <pegel@acme.example>"
    assert found.mail["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(found.mail["Date"]).year == 2026
    assert found.part("plain").splitlines() == [
        "acme: at risk", "Why: logins fell", "see https://x.example/?a=1&b=2",
        "Open in CRM: https://crm.example/a?b=c&d=e", "", "-- ", "2026-03-01T12:34:58.000Z · play save",
    ]  # fmt: skip
    assert '<a href="https://x.example/?a=1&amp;b=2">https://x.example/?a=1&amp;b=2</a>' in found.part("html")
    assert 'href="https://crm.example/a?b=c&amp;d=e"' in found.part("html")


async def test_every_attempt_has_the_same_message_id_and_the_same_text() -> None:
    first, second = await taken(message(1)), await taken(message(2))
    assert first.mail["Message-ID"] == second.mail["Message-ID"] == f"<{DELIVERY_ID}@acme.example>"
    assert first.part("html") == second.part("html")
    without_date = [
        [line for line in one.content.splitlines() if not line.startswith(b"Date:")] for one in (first, second)
    ]
    assert without_date[0] == without_date[1]


async def test_the_ref_makes_later_mails_answers_to_the_first() -> None:
    async with MailServer() as server:
        ref = (await sent(server)).ref
        await sent(server, message(delivery_id="another", thread_ref=ref))
        await sent(server, message(delivery_id="third", thread_ref="<x@y>\r\nBcc: z@acme.example"))
        await sent(server, message(delivery_id="fourth", thread_ref=ref, kind=MessageKind.DIGEST))
    first, second, third, fourth = (one.mail for one in server.taken)
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"] == ref
    assert third["In-Reply-To"] is None
    assert third["Bcc"] is None
    assert fourth["In-Reply-To"] is None


async def test_a_digest_is_one_mail() -> None:
    one = message(
        title="12 accounts need you", body="\n".join(f"account {n}" for n in range(12)), kind=MessageKind.DIGEST
    )
    found = await taken(one)
    assert found.mail["Subject"] == "12 accounts need you"
    assert found.part("plain").count("account ") == 12


@pytest.mark.parametrize(
    ("owner", "facts", "recipients"),
    [
        ("anna@acme.example", {}, ["anna@acme.example"]),
        ("anna", {"owner_email": " bert@acme.example "}, ["bert@acme.example"]),
        (None, {"owner_email": "bert@acme.example"}, ["bert@acme.example"]),
        ("anna@acme.example", {"owner_email": "bert@acme.example"}, ["anna@acme.example"]),
        ("anna", {"owner_email": "bert@acme.example, evil@x.example"}, [TO]),
        ("anna@acme.example\r\nBcc: evil@x.example", {}, [TO]),
        (None, {}, [TO]),
    ],
)
def test_the_owner_gets_it_where_there_is_an_address_and_else_who_is_named(
    owner: str | None, facts: dict[str, str], recipients: list[str]
) -> None:
    one = message(owner=owner, facts=facts)
    assert list(recipients_of(one, config(to_owner=True))) == recipients
    assert list(recipients_of(one, config())) == [TO]


async def test_a_mail_to_nobody_is_refused() -> None:
    async with MailServer() as server:
        outcome = await sent(server, message(facts={}), to=[], to_owner=True)
        assert (outcome.kind, outcome.detail) == (K.REJECTED, "no_recipient")
        assert server.taken == []


HOSTILE = st.text(alphabet=st.sampled_from('ab\r\n\t\0\x85\u2028\u202e:,;<>@"\\=?_.ä€😀 '), max_size=120)


@settings(max_examples=200, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_text_becomes_a_header_a_recipient_or_markup(a: str, b: str, c: str, d: str, e: str) -> None:
    hostile = "\r\nBcc: evil@x.example\r\n\r\n<script>alert(1)</script>"
    one = message(
        title=a + hostile, body=b + hostile, delivery_id=c + hostile, owner=d + hostile, thread_ref=e + hostile,
        facts={"owner_email": d + hostile}, play=e + hostile,
    )  # fmt: skip
    mail = mail_of(one, config(to_owner=True, unsubscribe_url="https://x.example/?r={recipient}"))
    assert mail is not None
    assert mail.recipients == (TO,)
    head, _, _ = mail.content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == sorted(
        [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"List-Unsubscribe",
         b"List-Unsubscribe-Post", b"MIME-Version", b"Content-Type"]
    )  # fmt: skip
    assert b"\r" not in mail.content.replace(b"\r\n", b"")
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert mail.content.isascii()
    assert "<script" not in html_of(one)


@given(HOSTILE, HOSTILE)
def test_a_message_id_is_one_word_whatever_the_delivery_is_called(one: str, other: str) -> None:
    found = message_id_of(one, "pegel@acme.example")
    assert re.fullmatch(r"<[A-Za-z0-9-]+@acme\.example>", found)
    assert (found == message_id_of(other, "pegel@acme.example")) is (one == other)


def test_a_title_that_says_nothing_is_said_to() -> None:
    mail = mail_of(message(title="\r\n\0"), config())
    assert mail is not None
    assert b"Subject: (no title)" in mail.content
    assert "play save" in text_of(message(transition={}))


def test_mails_can_be_unsubscribed_from_with_one_click() -> None:
    one = message(owner="anna+x@acme.example")
    mail = mail_of(one, config(to_owner=True, unsubscribe_url="https://x.example/u?r={recipient}"))
    assert mail is not None
    assert b"List-Unsubscribe: <https://x.example/u?r=anna%2Bx%40acme.example>\r\n" in mail.content
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail.content
    mail = mail_of(one, config(unsubscribe_address="stop@acme.example"))
    assert mail is not None
    assert b"List-Unsubscribe: <mailto:stop@acme.example?subject=unsubscribe>\r\n" in mail.content
    assert b"List-Unsubscribe-Post" not in mail.content
    assert b"List-Unsubscribe" not in (mail_of(one, config()) or mail).content


async def test_one_recipient_that_cannot_now_keeps_the_mail_back_so_that_nobody_gets_it_twice() -> None:
    async with MailServer() as server:
        both = ["anna@acme.example", "bert@acme.example"]
        server.unknown["bert@acme.example"] = "450 4.2.2 mailbox full"
        outcome = await sent(server, to=both)
        assert (outcome.kind, outcome.detail) == (K.RETRY_RECORD, "recipient 450")
        assert server.taken == []
        del server.unknown["bert@acme.example"]
        assert (await sent(server, to=both)).kind is K.OK
        assert [one.recipients for one in server.taken] == [both]


async def test_a_recipient_that_is_refused_for_good_is_left_out() -> None:
    async with MailServer() as server:
        server.unknown["bert@acme.example"] = "550 5.1.1 no such user"
        outcome = await sent(server, to=["anna@acme.example", "bert@acme.example"])
        assert (outcome.kind, outcome.detail) == (K.OK, "some_recipients_refused")
        assert [one.recipients for one in server.taken] == [["anna@acme.example"]]
        outcome = await sent(server, to=["bert@acme.example"])
        assert (outcome.kind, outcome.detail) == (K.REJECTED, "recipient 550")


@pytest.mark.parametrize(
    ("step", "code", "kind"),
    [
        (Step.CONNECT, 421, K.RETRY_DESTINATION),
        (Step.CONNECT, 554, K.RETRY_DESTINATION),
        (Step.CONNECT, 521, K.GONE),
        (Step.HELLO, 556, K.GONE),
        (Step.HELLO, 502, K.RETRY_DESTINATION),
        (Step.STARTTLS, 454, K.RETRY_DESTINATION),
        (Step.LOGIN, 535, K.AUTH),
        (Step.LOGIN, 500, K.AUTH),
        (Step.LOGIN, 454, K.RETRY_DESTINATION),
        (Step.SENDER, 530, K.AUTH),
        (Step.SENDER, 451, K.RETRY_DESTINATION),
        (Step.SENDER, 552, K.REJECTED),
        (Step.SENDER, 553, K.REJECTED),
        (Step.RECIPIENT, 450, K.RETRY_RECORD),
        (Step.RECIPIENT, 421, K.RETRY_DESTINATION),
        (Step.RECIPIENT, 550, K.REJECTED),
        (Step.RECIPIENT, 530, K.AUTH),
        (Step.DATA, 451, K.RETRY_DESTINATION),
        (Step.DATA, 554, K.REJECTED),
        (Step.DATA, -1, K.RETRY_DESTINATION),
        (Step.DATA, 399, K.RETRY_DESTINATION),
    ],
)
def test_replies_mean_what_their_first_digit_says_about_what_was_asked(step: Step, code: int, kind: K) -> None:
    assert outcome_of(step, code).kind is kind


@pytest.mark.parametrize("code", [450, 554])
async def test_the_answer_to_the_text_decides(code: int) -> None:
    async with MailServer() as server:
        server.script("data", MailFault(f"{code} no"))
        outcome = await sent(server)
        assert outcome.detail == f"data {code}"
        assert server.taken == []


async def test_a_connection_that_breaks_before_the_text_has_done_nothing() -> None:
    async with MailServer() as server:
        server.script("rcpt", MailFault(drop=True))
        outcome = await sent(server)
        assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "disconnected")


async def test_a_server_that_greets_with_a_refusal_is_believed() -> None:
    async with MailServer() as server:
        server.answer_raw(lambda: Greeting(b"554 5.7.1 go away\r\n"))
        assert (await sent(server)).detail == "connect 554"


async def test_a_wrong_password_is_a_matter_for_people() -> None:
    async with MailServer(auth=True) as server:
        assert (await sent(server, username=USER, password=PASSWORD)).kind is K.OK
        outcome = await sent(server, username=USER, password="wrong")
        assert (outcome.kind, outcome.detail) == (K.AUTH, "login 535")
        assert (await sent(server)).kind is K.AUTH


async def test_a_server_that_is_not_there_has_got_nothing() -> None:
    async with MailServer() as server:
        pass
    outcome = await sent(server)
    assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "connect_failed")


async def test_a_server_inside_is_refused_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *rest, **more: resolve("127.0.0.1", *rest, **more))
    async with MailServer() as server:
        for more in (
            {"security": "starttls", "allow_loopback": False},
            {"allow_networks": ["10.0.0.0/8"], "allow_loopback": False},
        ):
            outcome = await sent(server, host="mail.example.com", **more)
            assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "address_refused")
        assert (await sent(server, host="mail.example.com", allow_networks=["127.0.0.0/8"])).kind is K.OK


async def test_a_name_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gate.wait(10))
    async with MailServer() as server:
        outcome = await sent(server, timeout_s=0.1)
        gate.set()
    assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "name_unknown")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For localhost, signed by itself; the key beside it."""
    path = tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def served_with(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_what_is_sent_is_secured_and_the_certificate_verified(security: str, certificate: Path) -> None:
    starttls = security == "starttls"
    tls = served_with(certificate)
    async with MailServer(tls, implicit=not starttls, starttls=starttls, auth=True) as server:
        known: dict[str, Any] = {"security": security, "username": USER, "password": PASSWORD}
        trusting = known | {"host": "localhost", "ca_file": str(certificate)}
        assert (await sent(server, **trusting)).kind is K.OK
        assert server.taken[0].secured
        outcome = await sent(server, **(known | {"host": "localhost"}))
        assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "tls_failed")
        outcome = await sent(server, **(trusting | {"host": "127.0.0.1"}))
        assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "tls_failed")
        assert len(server.taken) == 1


async def test_a_server_without_starttls_is_told_nothing() -> None:
    async with MailServer(auth=True) as server:
        outcome = await sent(server, security="starttls", username=USER, password=PASSWORD)
        assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "no_starttls")
        assert server.taken == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": []},
        {"to": ["Anna <anna@acme.example>"]},
        {"to": ["a@b\r\nBcc: c@d"]},
        {"from_address": "x"},
        {"from_name": "a\nb"},
        {"username": "x"},
        {"password": "very-secret"},
        {"security": "none"},
        {"host": "mail.acme.example\r\n"},
        {"host": "-"},
        {"unsubscribe_url": "http://x.example/"},
        {"unsubscribe_url": "https://x.example/>\r\n"},
        {"unsubscribe_url": "https://x.example/{recipient}", "to": ["a@b.c", "d@e.f"]},
        {"ca_file": "/nowhere.pem"},
        {"allow_networks": ["10.0.0.0/99"]},
    ],
)
def test_a_config_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**wrong)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["a@b", "anna.b+c@mail.acme.example", "o'hara@mail.example"])
def test_plain_addresses_are_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", "@b", "a@", "a b@c", "a@b c", "a@b\n", "<a@b>", "a@b,c@d", "a@@b", '"a b"@c', "a@-b", "ä@b", "a@b..c",
     ".a@b", "a.@b", "x" * 65 + "@b", "a@" + "b" * 64, "a@" + "b." * 130 + "c", "a@b(c)", "a@[10.0.0.1]"],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert not is_address(text)
