"""What a playbook says of any endpoint: where it is, and which addresses are allowed though they are not public."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.playbook import Destination
from streams.connectors.addresses import AddressPolicy, network
from streams.connectors.http import checked_url


def _a_network(text: str) -> str:
    network(text)
    return text


NetworkText = Annotated[str, AfterValidator(_a_network)]


class InnerDestination(Destination):
    """A destination that may lie in one's own network."""

    allow_http: bool = Field(default=False, description="Permit http:// and this machine's own addresses.")
    allow_networks: tuple[NetworkText, ...] = Field(
        (), max_length=32, description="Networks that are not public and yet allowed, as 10.0.0.0/8."
    )

    @property
    def policy(self) -> AddressPolicy:
        return AddressPolicy(loopback=self.allow_http, networks=tuple(network(text) for text in self.allow_networks))


class ApiDestination(Destination):
    """A destination whose address is no secret. Each provider says what `url` is."""

    url: str
    allow_http: bool = Field(default=False, description="Permit http:// to this machine, for tests.")

    @property
    def policy(self) -> AddressPolicy:
        return AddressPolicy(loopback=self.allow_http)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        checked_url(self.url, self.policy)
        return self
