"""Sends mails, each over a connection of its own.

Theory of operation. The server's name is resolved once, every address is judged, and the judged ones are connected to.
Recipients are asked for before the text is sent: if one of them is refused for now, nothing is sent, so that the repeat
gives nobody a second copy; one that is refused for good is left out. A connection that breaks before the text was begun
has done nothing. Afterwards nobody knows: SMTP has no way to ask.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

import aiosmtplib
from aiohttp.abc import ResolveResult

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.deadline import Deadline
from streams.connectors.dialects import Dialect
from streams.connectors.email.addresses import domain_of
from streams.connectors.email.answers import Step, outcome_of
from streams.connectors.email.config import EmailConfig, Security
from streams.connectors.email.payload import Mail, mail_of
from streams.connectors.http import TIMEOUT_MIN_S, AddressRefusedError, Failure, GuardedResolver
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, OutcomeKind

CONNECT_TIMEOUT_S: Final = 5.0
QUIT_TIMEOUT_S: Final = 1.0


class _Stopped(Exception):  # noqa: N818 - how an attempt ends, not an error
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class EmailConnector:
    def __init__(self, config: EmailConfig) -> None:
        self._config = config
        self._context = _tls(config)

    async def deliver(self, message: Message) -> Outcome:
        mail = mail_of(message, self._config)
        if mail is None:
            return Outcome(OutcomeKind.REJECTED, "no_recipient")
        deadline = Deadline(self._config.timeout_s)
        try:
            client = await self._connected(deadline)
            try:
                return await self._sent(client, mail, deadline)
            finally:
                client.close()
        except _Stopped as stopped:
            return stopped.outcome

    async def close(self) -> None:
        """Nothing stays open."""

    async def _sent(self, client: aiosmtplib.SMTP, mail: Mail, deadline: Deadline) -> Outcome:
        await self._greeted(client, deadline)
        options = [f"SIZE={len(mail.content)}"] if client.supports_extension("size") else []
        await self._asked(Step.SENDER, client.mail(mail.sender, options=options, timeout=_left(deadline)))
        refused = await self._recipients(client, mail, deadline)
        try:
            await client.data(mail.content, timeout=_left(deadline))
        except aiosmtplib.SMTPResponseException as error:
            return outcome_of(Step.DATA, error.code)
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            return Outcome(OutcomeKind.AMBIGUOUS, Failure.TIMED_OUT)
        except (aiosmtplib.SMTPException, OSError):
            return Outcome(OutcomeKind.AMBIGUOUS, Failure.DISCONNECTED)
        with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            # It has been taken; how the goodbye goes changes nothing.
            await client.quit(timeout=min(QUIT_TIMEOUT_S, _left(deadline)))
        return Outcome(OutcomeKind.OK, "some_recipients_refused" if refused else "", mail.message_id)

    async def _greeted(self, client: aiosmtplib.SMTP, deadline: Deadline) -> None:
        await self._asked(Step.HELLO, client.ehlo(timeout=_left(deadline)))
        if self._config.security is Security.STARTTLS:
            if not client.supports_extension("starttls"):
                raise _Stopped(Outcome(OutcomeKind.RETRY_DESTINATION, "no_starttls"))
            await self._asked(
                Step.STARTTLS,
                client.starttls(server_hostname=self._config.host, tls_context=self._context, timeout=_left(deadline)),
            )
            await self._asked(Step.HELLO, client.ehlo(timeout=_left(deadline)))
        if self._config.username is not None and self._config.password is not None:
            password = self._config.password.get_secret_value()
            await self._asked(Step.LOGIN, client.login(self._config.username, password, timeout=_left(deadline)))

    async def _recipients(self, client: aiosmtplib.SMTP, mail: Mail, deadline: Deadline) -> int:
        """Name them all; returns how many were refused for good. Raises where nothing is to be sent."""
        refused: list[Outcome] = []
        for address in mail.recipients:
            try:
                await self._asked(Step.RECIPIENT, client.rcpt(address, timeout=_left(deadline)))
            except _Stopped as stopped:
                if stopped.outcome.kind is not OutcomeKind.REJECTED:
                    raise
                refused.append(stopped.outcome)
        if len(refused) == len(mail.recipients):
            raise _Stopped(refused[0])
        return len(refused)

    async def _asked(self, step: Step, question: Awaitable[object]) -> None:
        """Await a reply; raises _Stopped for one that is no yes, and for none."""
        try:
            await question
        except aiosmtplib.SMTPResponseException as error:
            raise _Stopped(outcome_of(step, error.code)) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _Stopped(Outcome(OutcomeKind.RETRY_DESTINATION, _named(error))) from None

    async def _connected(self, deadline: Deadline) -> aiosmtplib.SMTP:
        sock = await self._socket(deadline)
        client = aiosmtplib.SMTP(
            hostname=self._config.host,
            local_hostname=domain_of(self._config.from_address),
            use_tls=self._config.security is Security.TLS,
            start_tls=False,
            tls_context=self._context,
            sock=sock,
        )
        try:
            await self._asked(Step.CONNECT, client.connect(timeout=_left(deadline)))
        except _Stopped:
            client.close()
            sock.close()
            raise
        return client

    async def _socket(self, deadline: Deadline) -> socket.socket:
        """Connect to the first address that answers; all of them have been judged."""
        failure = Failure.NAME_UNKNOWN
        for place in await self._resolved(deadline):
            sock = socket.socket(place["family"], socket.SOCK_STREAM)
            sock.setblocking(False)  # noqa: FBT003 - its only argument
            loop = asyncio.get_running_loop()
            try:
                address = (place["host"], place["port"])
                await asyncio.wait_for(loop.sock_connect(sock, address), min(CONNECT_TIMEOUT_S, _left(deadline)))
            except OSError:  # a time-out is one
                sock.close()
                failure = Failure.CONNECT_FAILED
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise _Stopped(Outcome(OutcomeKind.RETRY_DESTINATION, failure))

    async def _resolved(self, deadline: Deadline) -> list[ResolveResult]:
        resolver = GuardedResolver(self._config.policy)
        resolving = resolver.resolve(self._config.host, self._config.port, socket.AF_UNSPEC)
        try:
            return await asyncio.wait_for(resolving, min(CONNECT_TIMEOUT_S, _left(deadline)))
        except AddressRefusedError:
            raise _Stopped(Outcome(OutcomeKind.RETRY_DESTINATION, Failure.ADDRESS_REFUSED)) from None
        except OSError:  # a time-out is one
            raise _Stopped(Outcome(OutcomeKind.RETRY_DESTINATION, Failure.NAME_UNKNOWN)) from None


def _left(deadline: Deadline) -> float:
    return max(deadline.left_s, TIMEOUT_MIN_S)


def _named(error: BaseException) -> Failure:
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return Failure.TLS_FAILED
    if isinstance(error, aiosmtplib.SMTPTimeoutError | TimeoutError):
        return Failure.TIMED_OUT
    return Failure.DISCONNECTED


def _tls(config: EmailConfig) -> ssl.SSLContext | None:
    """Verifies certificates and names."""
    if config.security is Security.NONE:
        return None
    return ssl.create_default_context(cafile=None if config.ca_file is None else str(config.ca_file))


def _build(config: Destination) -> EmailConnector:
    assert isinstance(config, EmailConfig)
    return EmailConnector(config)


EMAIL = ConnectorType("email", EmailConfig, Dialect.PLAIN, _build, deduplicates=False)
