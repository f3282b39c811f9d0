"""What is sent: track, group and identify calls as Segment's specification has them.

`messageId` is the delivery's id, with a suffix where one delivery makes several calls: the same on every attempt, so
that who remembers message ids sees everything once. `sentAt` is left out for the same reason; without it `timestamp`,
the time of the transition, is taken as it stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from streams.connectors.fields import PLAIN, identity_of, written
from streams.connectors.message import Message, MessageKind
from streams.connectors.segment.config import Call, SegmentConfig

LIBRARY: Final = {"name": "pegel", "version": "1"}
ITEMS_MAX: Final = 500
ACCOUNTS_MAX: Final = 100
ANONYMOUS: Final = "pegel:"
TITLE_CHARS_MAX: Final = 500
BODY_CHARS_MAX: Final = 5_000
TEST_EVENT: Final = "Pegel Test"


@dataclass(slots=True)
class Sent:
    """One call, encoded."""

    body: bytes
    messages: list[int]


def batch_body(calls: Sequence[bytes]) -> bytes:
    return b'{"batch":[' + b",".join(calls) + b"]}"


def calls_of(message: Message, config: SegmentConfig) -> Iterator[bytes]:
    """The calls that a message makes: one of each kind for every transition that it is about.

    An identify call is about a user; where none is known there is none.
    """
    if message.kind is MessageKind.LIST:
        yield _encoded(message, config, _About({}, None, 0), Call.TRACK, _listed(message, config))
        return
    for number, item in enumerate((message.items or (message.transition,))[:ITEMS_MAX]):
        about = _About(item, _user(message, config, item), number)
        for call in config.calls:
            if call is not Call.IDENTIFY or about.user:
                yield _encoded(message, config, about, call, _content(message, config, item, call))


def test_call(delivery_id: str) -> bytes:
    """Shows up in the source's debugger; about nobody."""
    call = {
        "type": "track", "messageId": delivery_id, "anonymousId": ANONYMOUS + "test", "event": TEST_EVENT,
        "properties": {}, "context": {"library": LIBRARY},
    }  # fmt: skip
    return msgspec.json.encode(call)


@dataclass(frozen=True, slots=True)
class _About:
    item: Mapping[str, Any]
    user: str | None
    number: int


def _user(message: Message, config: SegmentConfig, item: Mapping[str, Any]) -> str | None:
    if config.user is None:
        return None
    leading = item.get("account_id") == message.transition.get("account_id")
    return identity_of(config.user, item, message.facts if leading else {})


def _encoded(message: Message, config: SegmentConfig, about: _About, call: Call, content: dict[str, Any]) -> bytes:
    account = str(about.item.get("account_id") or "")
    body: dict[str, Any] = {
        "type": call.value,
        "messageId": _message_id(message.delivery_id, about.number, call),
        **({"userId": about.user} if about.user else {"anonymousId": ANONYMOUS + (account or message.play)}),
        **content,
        "context": {"library": LIBRARY, **({"groupId": account} if account else {})},
    }
    if about.item.get("effective_at"):
        body["timestamp"] = about.item["effective_at"]
    if config.integrations:
        body["integrations"] = config.integrations
    return msgspec.json.encode(body)


def _message_id(delivery_id: str, number: int, call: Call) -> str:
    suffix = "" if call is Call.TRACK else f"-{call.value}"
    return f"{delivery_id}{suffix}" if number == 0 else f"{delivery_id}{suffix}-{number}"


def _content(message: Message, config: SegmentConfig, item: Mapping[str, Any], call: Call) -> dict[str, Any]:
    mapped = written(config.properties, message, item)
    if call is Call.GROUP:
        return {"groupId": str(item.get("account_id") or ""), "traits": mapped}
    if call is Call.IDENTIFY:
        return {"traits": mapped}
    events = {"entered": config.event_entered, "exited": config.event_exited, "moved": config.event_moved}
    properties = {name: item.get(name) for name in PLAIN}
    return {
        "event": events.get(str(item.get("direction")), config.event_entered),
        "properties": {**properties, **_words(message), **mapped},
    }


def _listed(message: Message, config: SegmentConfig) -> dict[str, Any]:
    accounts = [str(item["account_id"]) for item in message.items if item.get("account_id")][:ACCOUNTS_MAX]
    return {"event": config.event_list, "properties": {"accounts": accounts, **_words(message)}}


def _words(message: Message) -> dict[str, str]:
    return {
        "play": message.play,
        "title": message.rendered.title[:TITLE_CHARS_MAX],
        "text": message.rendered.body[:BODY_CHARS_MAX],
        "delivery_id": message.delivery_id,
    }
