"""Reading one line of a log.

A value of the wrong type is unknown, and so is ``null`` or an empty text where a text is wanted; only what cannot be
placed at all is rejected. Readings of the contract:

* The account of a group call is its ``groupId``, of any call ``context.groupId``, else the account that the user of the
  call (``userId``, else ``anonymousId``) was last named with in a group call. A top-level ``groupId`` on another
  call says nothing.
* A group call teaches user -> account even if it is dropped as a duplicate, but not if it is left out by ``until``.
* RFC 3339 with ``T`` between date and time (``t``, ``z`` too); a leap second ``:60`` is no readable time.
* A file line without a readable ``receivedAt`` or ``timestamp`` has no arrival and is rejected.
* Without ``messageId`` two records are the same when their JSON is, whatever the order of keys.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

DAY_MS = 86_400_000
ACCOUNT_CHARS_MAX = 255
TYPES = frozenset({"identify", "group", "track", "page", "screen", "alias"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


class Rejected(Exception):  # noqa: N818  (what the contract calls it)
    """The line is no record; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Record:
    named_account: str | None  # the account the record names itself
    kind: str  # identify, group, track, page, screen, alias
    name: str | None  # the event name of track, page and screen calls
    event_ms: int  # t, as the producer says
    arrival_ms: int  # a
    message_id: str | None
    identity: str  # message id, else the whole record
    user: str | None
    properties: dict[str, Any]
    traits: dict[str, Any]


def parse_time(value: Any) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 text; digits below a millisecond are cut off."""
    found = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    if sign is not None:
        if int(off_hour) > 23 or int(off_minute) > 59:
            return None
        offset = int(off_hour) * 3600 + int(off_minute) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * 1000 + int(((fraction or "") + "000")[:3])


def format_time(at_ms: int) -> str:
    at = (_EPOCH + timedelta(milliseconds=at_ms)).replace(tzinfo=None)
    return at.isoformat(timespec="milliseconds") + "Z"


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line, parse_constant=_no_constant)
    except ValueError:
        raise Rejected("not_json") from None
    if not isinstance(fields, dict):
        raise Rejected("not_an_object")
    return fields


def _named_account(fields: dict[str, Any]) -> str | None:
    named = text(mapping(fields.get("context")).get("groupId"))
    return text(fields.get("groupId")) or named if fields["type"] == "group" else named


def _times(fields: dict[str, Any]) -> tuple[int, int]:
    """Event time and arrival time."""
    stamped = parse_time(fields.get("timestamp"))
    if stamped is None and fields.get("timestamp") is not None:
        raise Rejected("unreadable_timestamp")
    received = parse_time(fields.get("receivedAt"))
    arrival = received if received is not None else stamped
    if arrival is None:
        raise Rejected("unreadable_arrival")
    for event in (stamped, parse_time(fields.get("originalTimestamp")), received):
        if event is not None:
            return event, arrival
    raise AssertionError("a record with an arrival has an event time")


def read(line: str) -> Record:
    fields = _fields(line)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise Rejected("unknown_type")
    name = {"track": text(fields.get("event")), "page": "page", "screen": "screen"}.get(kind)
    if kind == "track" and name is None:
        raise Rejected("missing_event")
    event_ms, arrival_ms = _times(fields)
    message_id = text(fields.get("messageId"))
    return Record(
        named_account=_named_account(fields),
        kind=kind,
        name=name,
        event_ms=event_ms,
        arrival_ms=arrival_ms,
        message_id=message_id,
        identity=f"id:{message_id}" if message_id else "body:" + json.dumps(fields, sort_keys=True),
        user=text(fields.get("userId")) or text(fields.get("anonymousId")),
        properties=mapping(fields.get("properties")),
        traits=mapping(fields.get("traits")) if kind == "group" else {},
    )


def resolve(record: Record, learned: dict[str, str]) -> str:
    """The account of a record; ``learned`` remembers user -> account from one record to the next."""
    account = record.named_account or learned.get(record.user or "")
    if account is None:
        raise Rejected("missing_account")
    if len(account) > ACCOUNT_CHARS_MAX:
        raise Rejected("account_too_long")
    if record.kind == "group" and record.user is not None:
        learned[record.user] = account
    return account
