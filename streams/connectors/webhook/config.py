"""What a playbook says of a webhook."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from schemas.playbook import Destination
from streams.connectors.addresses import AddressPolicy, network
from streams.connectors.http import checked_url
from streams.connectors.webhook.signature import key_of


def _is_network(text: str) -> str:
    network(text)
    return text


NetworkText = Annotated[str, AfterValidator(_is_network)]


class WebhookConfig(Destination):
    type: Literal["webhook"]
    url: SecretStr = Field(description="Where to post, as ${VARIABLE} if it holds a token.")
    secret: SecretStr = Field(description="Signing secret, as ${VARIABLE}: whsec_ and base64.")
    timeout_s: float = Field(20.0, gt=0, le=60, description="An attempt that takes longer has failed.")
    rate_per_s: float | None = Field(50.0, gt=0, le=10_000, description="At most so many a second.")
    in_flight_max: int = Field(16, ge=1, le=256, description="At most so many attempts at once.")
    allow_http: bool = Field(default=False, description="Permit http:// and this machine's own addresses.")
    allow_networks: tuple[NetworkText, ...] = Field(
        (), max_length=32, description="Networks that are not public and yet allowed, as 10.0.0.0/8."
    )

    @property
    def policy(self) -> AddressPolicy:
        return AddressPolicy(loopback=self.allow_http, networks=tuple(network(text) for text in self.allow_networks))

    @model_validator(mode="after")
    def _usable(self) -> Self:
        checked_url(self.url.get_secret_value(), self.policy)
        key_of(self.secret.get_secret_value())
        return self
