"""The kit that every connector is tested with: describe yours as a `Kit`, name it in `kits`, and the laws of
`test_contract` hold it.

A kit opens a `Rig`: a provider that is running, a config for it, and the situations that the provider can be put into.
Which of them there are differs (the console cannot throttle), and so does what they come to; a kit says both.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from schemas.playbook import Destination
from streams.connectors.contract import Connector, ConnectorType
from streams.connectors.message import Message, Rendered
from streams.connectors.outcome import OutcomeKind, Scope
from tests.providers.server import Ask, ProviderServer

K = OutcomeKind
DELIVERY_ID: Final = "8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e"
NOW_MS: Final = 1_772_368_498_000


class Case(StrEnum):
    """What the next attempt meets."""

    TOO_FAST = "too_fast"
    REFUSED = "refused"
    """This message will never be taken."""
    UNAUTHORIZED = "unauthorized"
    VANISHED = "vanished"
    """The destination is no more."""
    UNWELL = "unwell"
    LOST = "lost"
    """The connection breaks; the provider has not done what it was asked."""
    LANDED = "landed"
    """The connection breaks; the provider has done it."""
    LANDED_LATE = "landed_late"
    """The provider has done it, and answers later than anybody waits (longer than `TIMEOUT_S`)."""
    HTML_PAGE = "html_page"
    BOMB = "bomb"
    """A small compressed answer that unpacks to tens of megabytes."""
    ENDLESS = "endless"
    TRICKLE = "trickle"


TIMEOUT_S: Final = 0.4
"""Of attempts at what never answers."""
LATE_S: Final = 0.8

USUAL: Final = {
    Case.TOO_FAST: K.THROTTLED,
    Case.REFUSED: K.REJECTED,
    Case.UNAUTHORIZED: K.AUTH,
    Case.VANISHED: K.GONE,
    Case.UNWELL: K.RETRY_DESTINATION,
    Case.LOST: K.AMBIGUOUS,
    Case.LANDED: K.AMBIGUOUS,
    Case.LANDED_LATE: K.AMBIGUOUS,
    Case.HTML_PAGE: K.AMBIGUOUS,
    Case.BOMB: K.AMBIGUOUS,
    Case.ENDLESS: K.AMBIGUOUS,
    Case.TRICKLE: K.AMBIGUOUS,
}


class Rig(Protocol):
    """One provider that is running."""

    def config(self, timeout_s: float = 5.0) -> Destination: ...

    def meet(self, case: Case) -> None:
        """Let the next attempt meet this."""
        ...

    def recover(self) -> None:
        """All is well again, a second has passed, and what was thrown away is there anew."""
        ...

    def landed(self) -> list[str]:
        """What people would see: one entry for each thing that stands at the provider, its delivery id.

        Where the provider keeps a state per account, its account.
        """
        ...


class HttpRig(Rig, Protocol):
    server: ProviderServer

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        """A config whose requests go to this URL; raises ValidationError."""
        ...


@dataclass(frozen=True)
class HttpLaws:
    """What is known of a connector that speaks HTTP."""

    route: str
    """The route to which a message goes."""
    path: str
    """What follows the server's own URL in the URL that is configured."""
    statuses: Mapping[int, OutcomeKind]
    """What differs from the rest of its hundred, of answers whose body says nothing."""
    hundreds: Mapping[int, OutcomeKind]
    delivery_id: Callable[[Ask], str]
    """Where a request bears its delivery id."""
    keeps_connections: bool = False
    """Only who can tell a repeat may use a connection again: an idle one may break just then."""
    wait_unsaid_s: float | None = None
    """What a 429 without a time to wait comes to."""

    def expected(self, status: int) -> OutcomeKind:
        return self.statuses.get(status, self.hundreds[status // 100])


@dataclass(frozen=True)
class Kit:
    type: ConnectorType
    open: Callable[[Path], AbstractAsyncContextManager[Rig]]
    """With a directory that is its own."""
    cases: frozenset[Case]
    """The situations that the provider can be put into."""
    differs: Mapping[Case, OutcomeKind] = field(default_factory=dict)
    """From `USUAL`."""
    secrets: tuple[str, ...] = ()
    gives_ref: bool = True
    test_lands: bool = True
    """Whether an operator's test is something that people see there."""
    throttle: tuple[Scope, float | None] = (Scope.DESTINATION, 7.0)
    """What TOO_FAST comes to: providers here ask to wait seven seconds if they say how long."""
    account: Callable[[int], str] = lambda number: f"account-{number}"
    """Accounts for batches."""
    poison: Callable[[Rig, str], None] | None = None
    """Batches: make the provider refuse this account's record, and it alone."""
    http: HttpLaws | None = None

    @property
    def name(self) -> str:
        return self.type.name

    def expected(self, case: Case) -> OutcomeKind:
        return self.differs.get(case, USUAL[case])

    def connector(self, config: Destination) -> Connector:
        return self.type.build(config)


def message(
    attempt: int = 1,
    title: str = "acme: at risk",
    body: str = "*acme* is at risk",
    account: str = "acme",
    delivery_id: str = DELIVERY_ID,
    **more: Any,
) -> Message:
    transition = {
        "transition_id": "t-1",
        "account_id": account,
        "segment": "at_risk",
        "direction": "entered",
        "sequence": 7,
        "effective_at": "2026-03-01T12:34:58.000Z",
    }
    facts = {"name": "Acme Inc.", "owner": "anna", "owner_email": "anna@customer-success.example"}
    usual = Message(
        delivery_id,
        attempt,
        NOW_MS + attempt,
        "save",
        transition,
        Rendered(title, body),
        items=(transition,),
        facts=facts,
    )
    return replace(usual, **more)


HUNDREDS: Final = {2: K.OK, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION}
STATUSES: Final = {
    401: K.AUTH, 403: K.AUTH, 404: K.GONE, 408: K.RETRY_DESTINATION, 409: K.RETRY_RECORD, 410: K.GONE,
    421: K.RETRY_DESTINATION, 423: K.RETRY_RECORD, 425: K.RETRY_RECORD, 429: K.THROTTLED,
}  # fmt: skip
HTTP_CASES: Final = frozenset(Case)
