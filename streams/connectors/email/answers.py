"""What a mail server's replies mean: 4xx comes back later, 5xx never; what it is about decides the scope."""

from enum import StrEnum
from typing import Final

from streams.connectors.outcome import Outcome, OutcomeKind


class Step(StrEnum):
    """Where in the conversation a reply was given."""

    CONNECT = "connect"
    HELLO = "hello"
    STARTTLS = "starttls"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    DATA = "data"


AUTH_CODES: Final = frozenset({530, 534, 535, 538})
"""A password is missing, wrong or too weak, or the connection is not secure enough for one."""
TAKES_NO_MAIL: Final = frozenset({521, 556})


def outcome_of(step: Step, code: int) -> Outcome:
    detail = f"{step} {code}" if 100 <= code <= 599 else f"{step} unreadable"
    if code in AUTH_CODES or (step is Step.LOGIN and code // 100 == 5):
        return Outcome(OutcomeKind.AUTH, detail)
    if code in TAKES_NO_MAIL and step in {Step.CONNECT, Step.HELLO}:
        return Outcome(OutcomeKind.GONE, detail)
    if code // 100 == 5 and step in {Step.SENDER, Step.RECIPIENT, Step.DATA}:
        return Outcome(OutcomeKind.REJECTED, detail)
    if code // 100 == 4 and code != 421 and step is Step.RECIPIENT:
        return Outcome(OutcomeKind.RETRY_RECORD, detail)
    return Outcome(OutcomeKind.RETRY_DESTINATION, detail)
