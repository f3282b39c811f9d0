"""The types of destination there are. A built-in connector is a folder and a line here; others come from packages."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Final

from streams.connectors.console.connector import CONSOLE
from streams.connectors.contract import ConnectorType
from streams.connectors.customerio.connector import CUSTOMERIO
from streams.connectors.customerio.events import CUSTOMERIO_EVENT
from streams.connectors.email.connector import EMAIL
from streams.connectors.extensions import loaded, offered
from streams.connectors.file.connector import FILE
from streams.connectors.hubspot.connector import HUBSPOT
from streams.connectors.hubspot.tasks import HUBSPOT_TASK
from streams.connectors.salesforce.connector import SALESFORCE
from streams.connectors.salesforce.tasks import SALESFORCE_TASK
from streams.connectors.segment.connector import SEGMENT
from streams.connectors.slack.bot import SLACK_BOT
from streams.connectors.slack.connector import SLACK
from streams.connectors.teams.connector import TEAMS
from streams.connectors.webhook.connector import WEBHOOK

BUILT_IN: Final[Mapping[str, ConnectorType]] = {
    kind.name: kind
    for kind in (
        SLACK,
        SLACK_BOT,
        TEAMS,
        EMAIL,
        HUBSPOT,
        HUBSPOT_TASK,
        SALESFORCE,
        SALESFORCE_TASK,
        CUSTOMERIO,
        CUSTOMERIO_EVENT,
        SEGMENT,
        WEBHOOK,
        FILE,
        CONSOLE,
    )
}


class Registry(Mapping[str, ConnectorType]):
    """Built-in connectors, and those of other packages once somebody asks for one by its name.

    Looking one up raises KeyError if there is none, and ConnectorError if there is one that cannot be used. Of two with
    one name the built-in one is used.
    """

    def __init__(self, built_in: Mapping[str, ConnectorType]) -> None:
        self._built_in = built_in
        self._loaded: dict[str, ConnectorType] = {}

    @cached_property
    def _offered(self) -> Mapping[str, list[EntryPoint]]:
        return offered(self._built_in)

    def __getitem__(self, name: str) -> ConnectorType:
        offers = self._offered
        if name in self._built_in:
            return self._built_in[name]
        if name not in self._loaded:
            self._loaded[name] = loaded(name, offers[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        """Without loading it."""
        return name in self._built_in or name in self._offered

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from self._offered

    def __len__(self) -> int:
        return len(self._built_in) + len(self._offered)


CONNECTORS: Final = Registry(BUILT_IN)
