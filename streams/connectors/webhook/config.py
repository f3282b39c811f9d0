"""What a playbook says of a webhook."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from streams.connectors.api import InnerDestination
from streams.connectors.http import checked_url
from streams.connectors.webhook.signature import key_of


class WebhookConfig(InnerDestination):
    type: Literal["webhook"]
    url: SecretStr = Field(description="Where to post, as ${VARIABLE} if it holds a token.")
    secret: SecretStr = Field(description="Signing secret, as ${VARIABLE}: whsec_ and base64.")
    timeout_s: float = Field(20.0, gt=0, le=60, description="An attempt that takes longer has failed.")
    rate_per_s: float | None = Field(50.0, gt=0, le=10_000, description="At most so many a second.")
    in_flight_max: int = Field(16, ge=1, le=256, description="At most so many attempts at once.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        checked_url(self.url.get_secret_value(), self.policy)
        key_of(self.secret.get_secret_value())
        return self
