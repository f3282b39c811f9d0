"""An account's present segments: the latest record per account in a compacted topic, a tombstone once it is erased."""

from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.derive import derive
from schemas.fields import AccountId, Name, Time

_EXAMPLES: Final[list[JsonValue]] = [
    {
        "account_id": "acme",
        "as_of": "2026-03-31T12:29:58.000Z",
        "stage": "customer",
        "sequence": 5,
        "segments": [
            {"segment": "established", "group": "lifecycle", "entered_at": "2026-03-31T12:29:58.000Z"},
            {"segment": "heating_up", "group": None, "entered_at": "2026-03-29T08:00:00.000Z"},
        ],
        "key_numbers": {"depth_x_breadth": 84, "nps": None},
        "catalog_version": "d0c5e9f2a41b",
    }
]


class SegmentMembership(BaseModel):
    """One segment the account is in."""

    model_config = ConfigDict(frozen=True)

    segment: Name = Field(description="The segment.")
    group: Name | None = Field(description="The exclusive group it belongs to.")
    entered_at: Time = Field(description="Since when.")


class Membership(BaseModel):
    """Where an account stands."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": _EXAMPLES})

    account_id: AccountId = Field(description="The account.")
    as_of: Time = Field(description="The event time this is the state of.")
    stage: Name = Field(description="trial, expired, customer or cancelled.")
    sequence: int = Field(ge=0, description="Sequence of the account's latest transition; 0 before the first.")
    segments: list[SegmentMembership] = Field(description="Its segments, in catalog order.")
    key_numbers: dict[str, Any] = Field(description="The catalog's definitions; infinite and unknown are null.")
    catalog_version: Name = Field(description="The rules that said so.")


if TYPE_CHECKING:

    class WireSegmentMembership(msgspec.Struct):
        segment: str
        group: str | None
        entered_at: str

    class WireMembership(msgspec.Struct, kw_only=True):
        """What the engine writes; the model's fields in the model's order."""

        account_id: str
        as_of: str
        stage: str
        sequence: int
        segments: list[WireSegmentMembership]
        key_numbers: dict[str, Any]
        catalog_version: str

else:
    WireSegmentMembership = derive(SegmentMembership)
    WireMembership = derive(Membership)

_decode: Final = msgspec.json.Decoder(WireMembership).decode


def decode_membership(raw: bytes) -> WireMembership:
    """The membership of a record Pegel wrote; raises `msgspec.DecodeError`. Constraints are left to the model."""
    return _decode(raw)
