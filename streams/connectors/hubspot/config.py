"""What a playbook says of HubSpot."""

import re
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from streams.connectors.api import ApiDestination
from streams.connectors.credentials import Credential
from streams.connectors.fields import Identity, Properties, check_names

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a name that is none, a folder, an unknown name
        raise ValueError("there is no such time zone") from None
    return name


PortalProperty = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]


class HubspotAccess(ApiDestination):
    """What both kinds of destination need."""

    token: Credential = Field(description="A service key or a private app's token, as ${VARIABLE}.")
    id_property: PortalProperty = Field(
        "pegel_account_id", description="The company property that says which account it is; its values are unique."
    )
    account: Identity = Field("account_id", description="What is looked for in it: account_id, or a trait, fact.NAME.")
    api_version: Annotated[str, StringConstraints(pattern=r"^(v3|20\d\d-\d\d)$")] = Field(
        "2026-03", description="Of HubSpot's API: stands in the paths."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The HubSpot account's: its daily limit ends at its midnight."
    )
    timeout_s: float = Field(20.0, gt=0, le=60, description="A delivery that takes longer has failed.")
    rate_per_s: float | None = Field(
        8.0, gt=0, le=10_000, description="HubSpot allows 10 requests a second in its smaller editions, 19 in others."
    )
    in_flight_max: int = Field(4, ge=1, le=256, description="At most so many deliveries at once.")
    url: str = Field("https://api.hubapi.com", description="Where HubSpot is.")


class HubspotConfig(HubspotAccess):
    type: Literal["hubspot"]
    properties: Properties = Field(min_length=1, description="Company properties, and what is written into each.")

    @model_validator(mode="after")
    def _writable(self) -> Self:
        check_names(self.properties, NAME, "lower-case letters, digits and _, at most 100, a letter first")
        if self.id_property in self.properties:
            raise ValueError(f"{self.id_property} says which company it is; leave it out of properties")
        return self


class HubspotTaskConfig(HubspotAccess):
    type: Literal["hubspot_task"]
    rate_per_s: float | None = Field(
        3.0, gt=0, le=10_000, description="A task takes two requests, four after an attempt whose end is not known."
    )
    due_h: float = Field(24.0, ge=0, le=24 * 366, description="Due so long after the transition.")
    priority: Literal["LOW", "MEDIUM", "HIGH"] = Field("MEDIUM", description="The task's.")
    task_type: Literal["TODO", "CALL", "EMAIL"] = Field("TODO", description="The task's.")
    owner_id: Annotated[str, StringConstraints(pattern=r"^\d{1,20}$")] | None = Field(
        None, description="HubSpot id of who gets tasks whose play names nobody."
    )
