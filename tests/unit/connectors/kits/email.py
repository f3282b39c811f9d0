"""Mail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from streams.connectors.email.config import EmailConfig
from streams.connectors.email.connector import EMAIL
from tests.providers.smtp import PASSWORD, USER, Chatter, Greeting, MailFault, MailServer
from tests.unit.connectors.kit import LATE_S, Case, K, Kit

FAULTS = {
    Case.REFUSED: ("rcpt", MailFault("550 5.1.1 no such user")),
    Case.UNWELL: ("mail", MailFault("451 4.3.0 try again")),
    Case.LOST: ("data", MailFault(drop=True)),
    Case.LANDED: ("data", MailFault(drop=True, commit=True)),
    Case.LANDED_LATE: ("data", MailFault(delay_s=LATE_S, commit=True)),
    Case.UNAUTHORIZED: ("mail", MailFault("530 5.7.0 authentication required")),
}
RAW = {
    Case.VANISHED: lambda: Greeting(b"521 takes no mail\r\n"),
    Case.HTML_PAGE: lambda: Greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>"),
    Case.ENDLESS: lambda: Chatter(trickle=False),
    Case.TRICKLE: lambda: Chatter(trickle=True),
}


class MailRig:
    def __init__(self, server: MailServer) -> None:
        self.mail = server

    def config(self, timeout_s: float = 5.0, **more: Any) -> EmailConfig:
        usual = {
            "id": "mail", "type": "email", "host": "127.0.0.1", "port": self.mail.port, "security": "none",
            "allow_loopback": True, "from_address": "pegel@acme.example", "to": ["team@acme.example"],
            "username": USER, "password": PASSWORD, "timeout_s": timeout_s,
        }  # fmt: skip
        return EmailConfig.model_validate(usual | more)

    def meet(self, case: Case) -> None:
        if case in RAW:
            self.mail.answer_raw(RAW[case])
        else:
            step, fault = FAULTS[case]
            self.mail.script(step, fault)

    def recover(self) -> None:
        """A script is used up by itself."""

    def landed(self) -> list[str]:
        return [str(taken.mail["Message-ID"]).strip("<>").partition("@")[0] for taken in self.mail.taken]


@asynccontextmanager
async def mail_rig(_: Path) -> AsyncIterator[MailRig]:
    async with MailServer(auth=True) as server:
        yield MailRig(server)


EMAIL_KIT = Kit(
    EMAIL,
    mail_rig,
    frozenset(FAULTS) | frozenset(RAW),
    # Until the text is sent nothing can have happened.
    {Case.HTML_PAGE: K.RETRY_DESTINATION, Case.ENDLESS: K.RETRY_DESTINATION, Case.TRICKLE: K.RETRY_DESTINATION},
    (PASSWORD,),
)
