"""What publishing needs to know of a line: when it arrived, and by whom or for which account it is.

The line itself stays what it is: what an event may look like is for intake to judge. Only what cannot be published at
all is bad: what is no JSON object, has no readable time of arrival, or is asked to be keyed by an account it does not
name.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from schemas.timestamps import parse_ms
from streams.limits import RECORD_BYTES_MAX


class KeyKind(StrEnum):
    """What a record's key names: the user, as producers do it, or the account, which needs no intake."""

    USER = "user"
    ACCOUNT = "account"


class BadLineReason(StrEnum):
    NOT_JSON = "not JSON"
    NOT_AN_OBJECT = "not a JSON object"
    TOO_LARGE = f"longer than {RECORD_BYTES_MAX} bytes"
    NO_ARRIVAL = "neither receivedAt nor timestamp is a readable time"
    AHEAD = "arrival lies more than an hour ahead"
    NO_ACCOUNT = "no account (groupId of a group call, context.groupId) to key by"


class BadLineError(Exception):
    def __init__(self, reason: BadLineReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EventLine:
    """A line that can be published."""

    fields: dict[str, Any]
    arrival_ms: int
    key: bytes | None


_decode = msgspec.json.Decoder().decode


def read_event(raw: bytes, key_kind: KeyKind) -> EventLine:
    if len(raw) > RECORD_BYTES_MAX:
        raise BadLineError(BadLineReason.TOO_LARGE)
    try:
        fields = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadLineError(BadLineReason.NOT_JSON) from None
    if not isinstance(fields, dict):
        raise BadLineError(BadLineReason.NOT_AN_OBJECT)
    arrival_ms = _time(fields.get("receivedAt"))
    if arrival_ms is None:
        arrival_ms = _time(fields.get("timestamp"))
    if arrival_ms is None:
        raise BadLineError(BadLineReason.NO_ARRIVAL)
    return EventLine(fields, arrival_ms, _user(fields) if key_kind is KeyKind.USER else _account(fields))


def _user(fields: dict[str, Any]) -> bytes | None:
    """The user's key; an event of nobody has none, and may go to any partition."""
    user = _text(fields.get("userId")) or _text(fields.get("anonymousId"))
    return None if user is None else user.encode()


def _account(fields: dict[str, Any]) -> bytes:
    account = _text(fields.get("groupId")) if fields.get("type") == "group" else None
    if account is None:
        context = fields.get("context")
        account = _text(context.get("groupId")) if isinstance(context, dict) else None
    if account is None:
        raise BadLineError(BadLineReason.NO_ACCOUNT)
    return account.encode()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: Any) -> int | None:
    return parse_ms(value) if isinstance(value, str) else None
