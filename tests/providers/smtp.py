"""A mail server: aiosmtpd, made strict about what real ones refuse, with a script of faults per step.

It takes mails from who may send them to whom it knows, and refuses what is not a proper mail (RFC 5322): lines of more
than 998 characters, bare line ends, eight-bit text that was not announced, missing or repeated headers.
"""

import asyncio
import ssl
import warnings
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST: Final = "127.0.0.1"
USER: Final = "pegel"
PASSWORD: Final = "very-secret-password"
LINE_CHARS_MAX: Final = 998
SIZE_MAX: Final = 1 << 20
TRICKLE_PAUSE_S: Final = 0.02
ENDLESS_LINES: Final = 100_000
ONCE: Final = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")


@dataclass(frozen=True)
class MailFault:
    """What happens at one step, instead of what should."""

    reply: str | None = None
    commit: bool = False
    """Take the mail all the same."""
    drop: bool = False
    delay_s: float = 0.0


@dataclass
class Taken:
    sender: str
    recipients: list[str]
    content: bytes
    secured: bool
    mail: EmailMessage = field(init=False)

    def __post_init__(self) -> None:
        mail = message_from_bytes(self.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mail = mail

    def part(self, kind: str) -> str:
        found = self.mail.get_body((kind,))
        assert found is not None
        return str(found.get_content())


class MailServer:
    def __init__(
        self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, auth: bool = False, starttls: bool = False
    ) -> None:
        self.port = 0
        self.taken: list[Taken] = []
        self.unknown: dict[str, str] = {}
        """Recipients that are refused, with the reply."""
        self._scripts: dict[str, deque[MailFault]] = defaultdict(deque)
        self._raw: deque[Callable[[], asyncio.Protocol]] = deque()
        self._tls = tls
        self._implicit = implicit
        self._auth = auth
        self._starttls = starttls
        self._server: asyncio.Server | None = None
        self._open: list[SMTP] = []

    def script(self, step: str, *faults: MailFault) -> None:
        """For the next times that it comes to `mail`, `rcpt` or `data`."""
        self._scripts[step].extend(faults)

    def answer_raw(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Let this answer the next connection, instead of a mail server."""
        self._raw.append(protocol)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        context = self._tls if self._implicit else None
        self._server = await loop.create_server(self._protocol, HOST, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for one in self._open:
            _break(one)
        await asyncio.sleep(0)

    def _protocol(self) -> asyncio.BaseProtocol:
        if self._raw:
            return self._raw.popleft()()
        with warnings.catch_warnings():
            # It warns of passwords over plain text; this server is on loopback.
            warnings.simplefilter("ignore")
            one = self._session()
        self._open.append(one)
        return one

    def _session(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.test",
            data_size_limit=SIZE_MAX,
            tls_context=self._tls if self._starttls else None,
            require_starttls=self._starttls,
            auth_required=self._auth,
            auth_require_tls=False,
            authenticator=_authenticated if self._auth else None,
            loop=asyncio.get_running_loop(),
        )

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = await self._meet("mail", server)
        if reply is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return reply or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = await self._meet("rcpt", server) or self.unknown.get(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        assert isinstance(envelope.content, bytes)
        script = self._scripts["data"]
        fault = script.popleft() if script else MailFault()
        refusal = _refusal(envelope.content)
        if refusal is None and (fault.commit or fault == MailFault()):
            secured = session.ssl is not None or self._implicit
            self.taken.append(Taken(str(envelope.mail_from), list(envelope.rcpt_tos), envelope.content, secured))
        await asyncio.sleep(fault.delay_s)
        if fault.drop:
            _break(server)
        return fault.reply or refusal or "250 OK"

    async def _meet(self, step: str, server: SMTP) -> str | None:
        script = self._scripts[step]
        fault = script.popleft() if script else MailFault()
        await asyncio.sleep(fault.delay_s)
        if fault.drop:
            _break(server)
        return fault.reply


class Greeting(asyncio.Protocol):
    """Says one thing to whoever connects, and hangs up."""

    def __init__(self, line: bytes) -> None:
        self._line = line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._line)
        transport.close()


class Chatter(asyncio.Protocol):
    """Never gets to the end of its greeting."""

    def __init__(self, *, trickle: bool) -> None:
        self._trickle = trickle
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._task = asyncio.ensure_future(self._talk(transport))

    def connection_lost(self, _: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _talk(self, transport: asyncio.Transport) -> None:
        for _ in range(ENDLESS_LINES):
            transport.write(b"2" if self._trickle else b"220-" + b"x" * 500 + b"\r\n")
            await asyncio.sleep(TRICKLE_PAUSE_S if self._trickle else 0)


def _authenticated(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def _break(server: SMTP) -> None:
    transport = server.transport
    if isinstance(transport, asyncio.Transport):
        transport.abort()


def _refusal(content: bytes) -> str | None:
    lines = content.split(b"\r\n")
    if any(b"\n" in line or b"\r" in line for line in lines):
        return "550 5.6.11 bare line end"
    if any(len(line) > LINE_CHARS_MAX for line in lines):
        return "500 5.6.0 line too long"
    if not content.isascii():
        return "554 5.6.1 eight-bit text"
    mail = message_from_bytes(content, policy=default)
    if mail.defects or any(len(mail.get_all(name, [])) != 1 for name in ONCE):
        return "550 5.6.0 not RFC 5322 compliant"
    return None
