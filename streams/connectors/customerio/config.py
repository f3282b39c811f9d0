"""What a playbook says of Customer.io."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from streams.connectors.api import ApiDestination
from streams.connectors.credentials import Credential
from streams.connectors.fields import Identity, Properties

RESERVED: Final = frozenset({"cio_object_id", "object_id", "objectId", "relationship", "_relationship"})


class CustomerioAccess(ApiDestination):
    """What both kinds of destination need."""

    site_id: Credential = Field(description="The workspace's site id, as ${VARIABLE}.")
    api_key: Credential = Field(description="Its Track API key, as ${VARIABLE}.")
    timeout_s: float = Field(15.0, gt=0, le=60, description="A delivery that takes longer has failed.")
    rate_per_s: float | None = Field(50.0, gt=0, le=10_000, description="Customer.io asks for at most 1,000 a second.")
    in_flight_max: int = Field(8, ge=1, le=256, description="At most so many deliveries at once.")
    url: str = Field("https://track.customer.io", description="Workspaces in the EU: https://track-eu.customer.io")


class CustomerioConfig(CustomerioAccess):
    type: Literal["customerio"]
    object_type_id: Annotated[str, StringConstraints(pattern=r"^\d{1,9}$")] = Field(
        "1", description="The object type that accounts are, as its settings in Customer.io show it."
    )
    account: Identity = Field("account_id", description="The object's id: account_id, or a trait, fact.NAME.")
    properties: Properties = Field(min_length=1, description="Attributes of the object, and what is written into each.")

    @model_validator(mode="after")
    def _writable(self) -> Self:
        reserved = sorted(RESERVED & self.properties.keys())
        if reserved:
            raise ValueError(f"{reserved[0]} is Customer.io's own: it cannot be an attribute")
        return self


class CustomerioEventConfig(CustomerioAccess):
    type: Literal["customerio_event"]
    person: Annotated[str, StringConstraints(pattern=r"^fact\.[^\s].{0,99}$")] = Field(
        "fact.owner_email", description="The trait of the account that says which person the event is of."
    )
    person_by: Literal["email", "id"] = Field("email", description="What the trait holds.")
    event: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)] = Field(
        "pegel_segment", description="The event's name: what campaigns are triggered by."
    )
    properties: Properties = Field(default_factory=dict, description="Attributes of the event beside the usual ones.")
