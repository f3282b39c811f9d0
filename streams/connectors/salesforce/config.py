"""What a playbook says of Salesforce."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from streams.connectors.api import ApiDestination
from streams.connectors.credentials import Credential
from streams.connectors.fields import Identity, Properties, check_names

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")

ApiName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$")]


class SalesforceAccess(ApiDestination):
    """What both kinds of destination need."""

    url: str = Field(description="My Domain: https://NAME.my.salesforce.com")
    client_id: Credential = Field(description="The connected app's consumer key, as ${VARIABLE}.")
    client_secret: Credential = Field(description="Its consumer secret, as ${VARIABLE}.")
    api_version: Annotated[str, StringConstraints(pattern=r"^v\d\d\.0$")] = Field(
        "v62.0", description="Of Salesforce's REST API."
    )
    object: ApiName = Field("Account", description="What accounts are in Salesforce.")
    external_id: ApiName = Field(
        "Pegel_Account_Id__c", description="Its external id field that says which account a record is."
    )
    account: Identity = Field("account_id", description="What is looked for in it: account_id, or a trait, fact.NAME.")
    timeout_s: float = Field(30.0, gt=0, le=60, description="A delivery that takes longer has failed.")
    rate_per_s: float | None = Field(5.0, gt=0, le=10_000, description="Requests count against a daily allowance.")
    in_flight_max: int = Field(4, ge=1, le=256, description="At most so many deliveries at once.")


class SalesforceConfig(SalesforceAccess):
    type: Literal["salesforce"]
    properties: Properties = Field(min_length=1, description="Fields of the object, and what is written into each.")

    @model_validator(mode="after")
    def _writable(self) -> Self:
        check_names(self.properties, NAME, "API names hold letters, digits and _, a letter first, at most 80")
        if {self.external_id.lower(), "id", "attributes"} & {name.lower() for name in self.properties}:
            raise ValueError(f"{self.external_id} and Id say which record it is; leave them out of properties")
        return self


class SalesforceTaskConfig(SalesforceAccess):
    type: Literal["salesforce_task"]
    task_external_id: ApiName = Field(
        "Pegel_Delivery_Id__c", description="External id field of Task, of 36 characters, unique: so each is made once."
    )
    due_days: int = Field(1, ge=0, le=366, description="Due so many days after the transition.")
    priority: Annotated[str, StringConstraints(min_length=1, max_length=40)] = Field(
        "Normal", description="One of the organisation's task priorities."
    )
    status: Annotated[str, StringConstraints(min_length=1, max_length=40)] = Field(
        "Not Started", description="One of the organisation's task states."
    )
    owner_id: UserId | None = Field(None, description="Id of the user who gets tasks whose play names nobody.")
