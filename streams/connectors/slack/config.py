"""What a playbook says of a Slack destination."""

from typing import Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from schemas.playbook import Destination
from streams.connectors.addresses import AddressPolicy
from streams.connectors.http import checked_url

API_URL: Final = "https://slack.com/api"
TOKEN_CHARS_MAX: Final = 500


class _SlackDestination(Destination):
    rate_per_s: float | None = Field(1.0, gt=0, le=10_000, description="Slack allows one message a second and channel.")
    in_flight_max: int = Field(2, ge=1, le=256, description="At most so many attempts at once.")
    allow_http: bool = Field(default=False, description="Permit http:// to this machine, for tests.")

    @property
    def policy(self) -> AddressPolicy:
        return AddressPolicy(loopback=self.allow_http)


class SlackConfig(_SlackDestination):
    type: Literal["slack"]
    url: SecretStr = Field(description="The incoming webhook, as ${VARIABLE}.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        checked_url(self.url.get_secret_value(), self.policy)
        return self


class SlackBotConfig(_SlackDestination):
    type: Literal["slack_bot"]
    token: SecretStr = Field(description="The bot's token (xoxb-...), as ${VARIABLE}.")
    channel: str = Field(
        pattern=r"^[CGD][A-Z0-9]{2,20}$", description="The channel's id, as C0123456789; not its name."
    )
    threads: bool = Field(default=True, description="One thread per account: its first message is the parent.")
    broadcast_replies: bool = Field(default=False, description="Show replies of threads in the channel as well.")
    api_url: str = Field(API_URL, description="Another endpoint that speaks Slack's Web API.")

    @field_validator("token")
    @classmethod
    def _a_token(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if not (0 < len(text) <= TOKEN_CHARS_MAX and text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("the token is empty or holds characters that no token holds")
        return token

    @model_validator(mode="after")
    def _usable(self) -> Self:
        checked_url(self.api_url, self.policy)
        return self
