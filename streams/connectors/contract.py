"""What every connector is: one folder, one config, one `deliver` that never raises for what a provider does.

A connector's folder holds its `config` (a `schemas.playbook.Destination` with the type's own fields), its payload and
its table of answers, each a module, and `connector`, which puts them together. `streams.connectors.registry` names it.
The tests in `tests/unit/connectors/contract.py` run against each of them: every status has its outcome, the delivery
id is the same on every attempt, and no secret gets into a `repr`, an error or a detail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from schemas.playbook import Destination
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome


class Connector(Protocol):
    async def deliver(self, message: Message) -> Outcome:
        """Make one attempt. An exception is a fault of the program, never of the provider or the network."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
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
