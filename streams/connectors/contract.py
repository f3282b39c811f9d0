"""What every connector is: one folder, one config, one `deliver` that never raises for what a provider does.

A connector's folder holds its `config` (a `schemas.playbook.Destination` with the type's own fields), its payload and
its table of answers, each a module, and `connector`, which puts them together. `streams.connectors.registry` names it.
The laws in `tests/unit/connectors/test_contract.py` run against each of them: every status has its outcome, the
delivery id is the same on every attempt, what it costs is bounded, and no secret gets into a `repr`, an error or a
detail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from schemas.playbook import Destination
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome

BATCH_MAX: Final = 1_000


class Connector(Protocol):
    async def deliver(self, message: Message) -> Outcome:
        """Make one attempt. An exception is a fault of the program, never of the provider or the network."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class BatchConnector(Connector, Protocol):
    """A connector whose provider takes several records in one request."""

    async def deliver_batch(self, messages: Sequence[Message]) -> list[Outcome]:
        """Make one attempt at each: 1 to `batch_max` messages, no two about the same account; outcomes in their order.

        `deliver(message)` is `deliver_batch([message])`. One message's rejection says nothing about the others'.
        """
        ...


@dataclass(frozen=True, slots=True)
class ConnectorType:
    """One kind of destination."""

    name: str
    config: type[Destination]
    dialect: Dialect
    build: Callable[[Destination], Connector]
    """Called in the event loop: connections may be opened lazily."""
    deduplicates: bool
    """Whether a repeat with the same delivery id does no harm; if not, the guarantee is at least once."""
    latest_wins: bool = False
    """Whether it keeps a state per account: of several deliveries that wait, the newest alone need be made."""
    batch_max: int = 1
    """How many messages one request takes. More than one: what `build` returns is a `BatchConnector`."""

    def __post_init__(self) -> None:
        assert 1 <= self.batch_max <= BATCH_MAX
