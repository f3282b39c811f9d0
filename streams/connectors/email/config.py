"""What a playbook says of mail."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from schemas.playbook import Destination
from streams.connectors.addresses import AddressPolicy, network
from streams.connectors.api import NetworkText
from streams.connectors.email.addresses import is_address

RECIPIENT: Final = "{recipient}"
HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
UNSUBSCRIBE: Final = re.compile(r"https://[!-;=?-~]+")


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def _an_address(text: str) -> str:
    if not is_address(text):
        raise ValueError("is no mail address")
    return text


MailAddress = Annotated[str, AfterValidator(_an_address)]


class EmailConfig(Destination):
    type: Literal["email"]
    host: str = Field(description="The mail server.", max_length=253)
    port: int = Field(587, ge=1, le=65_535, description="587 for starttls, 465 for tls as a rule.")
    security: Security = Field(Security.STARTTLS, description="none is possible to this machine and allow_networks.")
    username: str | None = Field(None, max_length=320)
    password: SecretStr | None = Field(None, description="As ${VARIABLE}.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's, for inner servers.")
    from_address: MailAddress = Field(description="Who writes.")
    from_name: str = Field("Pegel", max_length=100)
    to: tuple[MailAddress, ...] = Field((), max_length=50, description="Fixed recipients.")
    to_owner: bool = Field(default=False, description="Write to the account's owner; to `to` if there is no address.")
    unsubscribe_url: str | None = Field(
        None, max_length=1_000, description="https URL for one-click unsubscribing; may hold {recipient}."
    )
    unsubscribe_address: MailAddress | None = Field(None, description="Where a mail unsubscribes.")
    timeout_s: float = Field(30.0, gt=0, le=60, description="An attempt that takes longer has failed.")
    rate_per_s: float | None = Field(1.0, gt=0, le=10_000, description="At most so many mails a second.")
    in_flight_max: int = Field(2, ge=1, le=64, description="At most so many connections at once.")
    allow_networks: tuple[NetworkText, ...] = Field(
        (), max_length=32, description="Networks that are not public and yet allowed, as 10.0.0.0/8."
    )
    allow_loopback: bool = Field(default=False, description="Permit a server on this machine.")

    @property
    def policy(self) -> AddressPolicy:
        inside = AddressPolicy(loopback=self.allow_loopback, networks=tuple(network(t) for t in self.allow_networks))
        if self.security is Security.NONE:
            return AddressPolicy(False, inside.loopback, inside.networks)  # noqa: FBT003 - plain text stays inside
        return inside

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not HOST.fullmatch(self.host):
            raise ValueError("host is no name of a server")
        if not self.to and not self.to_owner:
            raise ValueError("say who gets it: to, to_owner or both")
        if (self.username is None) != (self.password is None):
            raise ValueError("give username and password, or neither")
        if self.security is Security.NONE and not (self.allow_loopback or self.allow_networks):
            raise ValueError(
                "security: none needs allow_loopback or allow_networks: plain text does not leave the house"
            )
        if not self.from_name.isprintable():
            raise ValueError("from_name holds control characters")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError("ca_file is no file")
        self._check_unsubscribe()
        return self

    def _check_unsubscribe(self) -> None:
        if self.unsubscribe_url is None:
            return
        if not UNSUBSCRIBE.fullmatch(self.unsubscribe_url):
            raise ValueError("unsubscribe_url must be an https URL of plain characters")
        if RECIPIENT in self.unsubscribe_url and len(self.to) > 1:
            raise ValueError(f"{RECIPIENT} in unsubscribe_url needs mails to one recipient each")
