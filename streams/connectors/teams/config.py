"""What a playbook says of a Teams destination."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from schemas.playbook import Destination
from streams.connectors.addresses import AddressPolicy
from streams.connectors.http import checked_url


class TeamsConfig(Destination):
    type: Literal["teams"]
    url: SecretStr = Field(description="The workflow's URL, as ${VARIABLE}: its signature is the credential.")
    timeout_s: float = Field(20.0, gt=0, le=60, description="An attempt that takes longer has failed.")
    rate_per_s: float | None = Field(1.0, gt=0, le=10_000, description="Teams throttles more than four a second.")
    in_flight_max: int = Field(2, ge=1, le=256, description="At most so many attempts at once.")
    allow_http: bool = Field(default=False, description="Permit http:// to this machine, for tests.")

    @property
    def policy(self) -> AddressPolicy:
        return AddressPolicy(loopback=self.allow_http)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        checked_url(self.url.get_secret_value(), self.policy)
        return self
