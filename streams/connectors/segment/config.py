"""What a playbook says of a tracking API."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from streams.connectors.api import InnerDestination
from streams.connectors.credentials import Credential
from streams.connectors.fields import Identity, Properties
from streams.connectors.http import checked_url

EventName = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
IntegrationName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Call(StrEnum):
    TRACK = "track"
    GROUP = "group"
    IDENTIFY = "identify"


class SegmentConfig(InnerDestination):
    type: Literal["segment"]
    url: str = Field(
        "https://api.segment.io",
        description="Where /v1/batch is: Segment's, its EU region's, or a RudderStack data plane.",
    )
    write_key: Credential = Field(description="The source's write key, as ${VARIABLE}.")
    calls: tuple[Call, ...] = Field(
        (Call.TRACK,), min_length=1, max_length=3, description="What is sent: track, group, identify."
    )
    user: Identity | None = Field(
        None, description="The user of the calls: account_id or a trait, fact.NAME; nobody: an anonymous one."
    )
    event_entered: EventName = Field("Segment Entered", description="Name of the track call.")
    event_exited: EventName = Field("Segment Exited", description="Name of the track call.")
    event_moved: EventName = Field("Segment Moved", description="Name of the track call.")
    event_list: EventName = Field("Segment Listed", description="Name of the track call.")
    properties: Properties = Field(
        default_factory=dict, description="Traits of group and identify calls, and properties of track calls."
    )
    integrations: dict[IntegrationName, bool] = Field(
        default_factory=dict, max_length=50, description="Which destinations get the calls, as Segment reads it."
    )
    timeout_s: float = Field(15.0, gt=0, le=60, description="A delivery that takes longer has failed.")
    rate_per_s: float | None = Field(50.0, gt=0, le=10_000, description="At most so many requests a second and worker.")
    in_flight_max: int = Field(8, ge=1, le=256, description="At most so many deliveries at once.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        checked_url(self.url, self.policy)
        if len(set(self.calls)) < len(self.calls):
            raise ValueError("calls names one of them twice")
        if Call.IDENTIFY in self.calls and self.user is None:
            raise ValueError("identify needs a user: account_id, or a trait, fact.NAME")
        if {Call.GROUP, Call.IDENTIFY} & set(self.calls) and not self.properties:
            raise ValueError("group and identify carry traits: say which in properties")
        return self
