"""What a playbook says of any provider's API: where it is, and that tests may put it on this machine."""

from typing import Self

from pydantic import Field, model_validator

from schemas.playbook import Destination
from streams.connectors.addresses import AddressPolicy
from streams.connectors.http import checked_url


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
