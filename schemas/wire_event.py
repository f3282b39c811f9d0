"""An event as the hot path sees it: the struct that `schemas.wire` decodes into, derived from the model.

It stands apart because the type is made at run time, and `schemas.wire` is compiled.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from schemas.derive import derive_with
from schemas.event import Event, EventType

if TYPE_CHECKING:

    class WireEvent(msgspec.Struct):
        """An event as the hot path sees it. Texts are non-empty or None, objects are never None."""

        type: EventType
        messageId: str | None  # noqa: N815
        userId: str | None  # noqa: N815
        anonymousId: str | None  # noqa: N815
        event: str | None
        name: str | None
        timestamp: str | None
        originalTimestamp: str | None  # noqa: N815
        receivedAt: str | None  # noqa: N815
        sentAt: str | None  # noqa: N815
        groupId: str | None  # noqa: N815
        previousId: str | None  # noqa: N815
        context: dict[str, Any]
        properties: dict[str, Any]
        traits: dict[str, Any]
        version: int | float | str | None
        timestamp_ms: int | None
        """`timestamp` as a number: it had to be parsed to be checked. None if there is none."""

else:
    WireEvent = derive_with(Event, {"timestamp_ms": int | None})
