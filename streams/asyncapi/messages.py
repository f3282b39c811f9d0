"""What lies in which topic: payload, key and headers of every kind of record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.action import Action
from schemas.control import CONTROL_HEADER, ControlKind
from schemas.dead_letter import (
    DELIVERY_HEADER,
    DESTINATION_HEADER,
    HEADER_NAMES,
    KEPT_HEADER_PREFIX,
    ORIGINAL_OFFSET_HEADER,
    ORIGINAL_PARTITION_HEADER,
    ORIGINAL_TIMESTAMP_HEADER,
    PLAY_HEADER,
    RETRY_DELIVERY_HEADER,
    DeadLetter,
)
from schemas.inbox import COMMAND_HEADER, ORIGINAL_KEY_HEADER, CommandKind
from schemas.trace import TRACEPARENT, TRACESTATE
from schemas.transition import (
    ANNOUNCE_HEADER,
    CE_SOURCE,
    CE_TYPE,
    FACT_CHARS_MAX,
    FACTS_HEADER,
    FACTS_MAX,
)
from streams.limits import ACCOUNT_ID_CHARS_MAX, HEADERS_BYTES_MAX, HEADERS_MAX

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"

Schema = Mapping[str, Any]
"""A JSON Schema."""

_TEXT: Final[Schema] = {"type": "string"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_NUMERAL: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$"}
_NONE: Final[Schema] = {"type": "null"}
_ANY: Final[Schema] = {}

ACCOUNT_KEY: Final[Schema] = {
    "type": "string", "minLength": 1, "maxLength": ACCOUNT_ID_CHARS_MAX, "description": "The account, in UTF-8.",
}  # fmt: skip
NO_KEY: Final[Schema] = {"type": "null", "description": "None: the record is of its partition."}


@dataclass(frozen=True, slots=True)
class Headers:
    """Names of headers with the schema of their value; header values are bytes, here the texts that they encode."""

    always: Mapping[str, Schema] = field(default_factory=dict)
    sometimes: Mapping[str, Schema] = field(default_factory=dict)
    description: str = ""
    closed: bool = True
    """Whether a record has no other header."""

    def schema(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "object"}
        if self.description:
            made["description"] = self.description
        made["properties"] = {**self.always, **self.sometimes}
        if self.always:
            made["required"] = list(self.always)
        made["additionalProperties"] = not self.closed
        return made


@dataclass(frozen=True, slots=True)
class Message:
    """One kind of record."""

    title: str
    summary: str
    payload: str | Schema
    """A contract's name, or a schema."""
    key: Schema
    headers: Headers = Headers()
    content_type: str = JSON


_TRACE: Final[Mapping[str, Schema]] = {
    TRACEPARENT: {
        "type": "string",
        "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "Where a producer traces its events: W3C trace context.",
    },
    TRACESTATE: {"type": "string", "description": "The same, what vendors add."},
}
_PASSED_ON: Final = Headers(
    sometimes=_TRACE,
    description=f"Passed on to account.events.v1 as they are, up to {HEADERS_MAX} headers and {HEADERS_BYTES_MAX} "
    "bytes, but for names that begin with pegel-, which are dropped.",
    closed=False,
)
_CLOUD_EVENT: Final[Mapping[str, Schema]] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_type": {"type": "string", "const": CE_TYPE, "description": "Its last part is the major version."},
    "ce_source": {"type": "string", "const": CE_SOURCE},
    "ce_id": {"type": "string", "format": "uuid", "description": "transition_id: equal ids are the same transition."},
    "ce_time": {**_TIME, "description": "effective_at."},
    "ce_subject": {"type": "string", "description": "account_id."},
    "content-type": {"type": "string", "const": JSON},
}
_RETRIED: Final[Mapping[str, Schema]] = {
    RETRY_DELIVERY_HEADER: {
        "type": "string",
        "description": "An operator tried a delivery of this transition again: the record is a repeat, for the "
        "notifier alone.",
    },
    DESTINATION_HEADER: {"type": "string", "description": "Of such a repeat: the destination."},
    PLAY_HEADER: {"type": "string", "description": "Of such a repeat: the play."},
    HEADER_NAMES["first_seen"]: {**_TIME, "description": "Of such a repeat: when it was refused first."},
    HEADER_NAMES["retries"]: {**_NUMERAL, "description": "Of such a repeat: how often it was tried again."},
}
_TRANSITION: Final = Headers(
    _CLOUD_EVENT,
    {
        ANNOUNCE_HEADER: {
            "type": "string",
            "const": "true",
            "description": "A new catalog made it, and it shall be told all the same.",
        },
        FACTS_HEADER: {
            "type": "string",
            "contentMediaType": JSON,
            "description": f"What is known of the account, for those who tell people of it: a JSON object of at most "
            f"{FACTS_MAX} texts of at most {FACT_CHARS_MAX} characters, by trait.",
        },
        **_TRACE,
        **_RETRIED,
    },
    "A CloudEvent in Kafka's binary mode.",
    closed=False,
)


def _dead_letter() -> Headers:
    fields, required = DeadLetter.model_json_schema(), set(DeadLetter.model_json_schema()["required"])
    found: dict[str, Schema] = {}
    for name, header in HEADER_NAMES.items():
        shape = _NUMERAL if "integer" in str(fields["properties"][name]) else _TEXT
        found[header] = {**shape, "description": fields["properties"][name].get("description", "")}
    return Headers(
        {HEADER_NAMES[name]: found[HEADER_NAMES[name]] for name in HEADER_NAMES if name in required},
        {
            **{HEADER_NAMES[name]: found[HEADER_NAMES[name]] for name in HEADER_NAMES if name not in required},
            DELIVERY_HEADER: {"type": "string", "description": "Of a delivery that failed: which."},
            DESTINATION_HEADER: {"type": "string", "description": "Of a delivery that failed: where to."},
            PLAY_HEADER: {"type": "string", "description": "Of a delivery that failed: the play that asked for it."},
        },
        f"The record's own headers, {KEPT_HEADER_PREFIX}* before names that were Pegel's own, and these.",
        closed=False,
    )


def _routing() -> dict[str, Schema]:
    return {
        DESTINATION_HEADER: {"type": "string", "description": "Who is to hear of it."},
        ORIGINAL_PARTITION_HEADER: {**_NUMERAL, "description": "Where the transition lies in its topic."},
        ORIGINAL_OFFSET_HEADER: {**_NUMERAL, "description": "Where in that partition."},
        ORIGINAL_TIMESTAMP_HEADER: {**_NUMERAL, "description": "Its Kafka timestamp, in milliseconds."},
        ORIGINAL_KEY_HEADER: {"type": ["string", "null"], "description": "Its key."},
    }


def _control(kind: ControlKind, summary: str) -> Message:
    header: Schema = {"type": "string", "const": kind.value}
    return Message(f"Control: {kind}", summary, f"control-{kind}", NO_KEY, Headers({CONTROL_HEADER: header}))


_DESTINATION_KEY: Final[Schema] = {"type": "string", "minLength": 1, "description": "Id of the destination."}
_COMMAND: Final[Schema] = {
    "type": "object",
    "required": ["at_ms"],
    "properties": {
        "at_ms": {"type": "integer"},
        "by": _TEXT,
        "note": _TEXT,
        "delivery_id": _TEXT,
        "account": _TEXT,
        "silence": {
            "type": "object",
            "required": ["id", "until_ms"],
            "properties": {
                "id": _TEXT, "until_ms": {"type": "integer"}, "account": _TEXT, "segment": _TEXT, "play": _TEXT,
            },
        },
    },
}  # fmt: skip
_MARK: Final[Schema] = {
    "type": "object",
    "required": ["action", "letter_ms", "at", "by"],
    "properties": {
        "action": {"type": "string", "enum": ["retried", "dropped"]},
        "letter_ms": {"type": "integer", "description": "Kafka timestamp of the dead letter."},
        "at": _TIME,
        "by": _TEXT,
        "note": _TEXT,
    },
}

MESSAGES: Final[Mapping[str, Message]] = {
    "productEvent": Message(
        "Product event", "A call of the Segment spec, as producers send it.", "event",
        {"type": ["string", "null"], "description": "Any; the user is usual. It decides the order."}, _PASSED_ON,
    ),
    "accountEvent": Message(
        "Account event", "A product event whose account is known: the producer's bytes.", "event", ACCOUNT_KEY,
        _PASSED_ON,
    ),
    "clock": _control(ControlKind.CLOCK, "Arrival time has reached a moment: deadlines may fire."),
    "thresholds": _control(ControlKind.THRESHOLDS, "Percentiles of the measures over all accounts."),
    "catalogChange": _control(ControlKind.CATALOG, "From here on another catalog applies."),
    "erase": _control(ControlKind.ERASE, "Forget an account or a user."),
    "sketch": _control(ControlKind.SKETCH, "What one partition's accounts are ranked by."),
    "transition": Message(
        "Transition", "An account entered, left or moved to a segment.", "transition", ACCOUNT_KEY, _TRANSITION
    ),
    "membership": Message("Membership", "The present segments of an account.", "membership", ACCOUNT_KEY),
    "membershipErased": Message(
        "Membership erased", "A tombstone: the account was erased. Forget it too.", _NONE, ACCOUNT_KEY
    ),
    "catalog": Message(
        "Catalog", "The rules of a version, whole.", "catalog",
        {"type": "string", "description": "The content hash that `catalog_version` names."},
    ),
    "routed": Message(
        "Routed transition", "A transition for one destination: the original's value and headers.", "transition",
        _DESTINATION_KEY, Headers(_routing(), {**_CLOUD_EVENT, **_TRANSITION.sometimes}, closed=False),
    ),
    "command": Message(
        "Command", "What an operator asks of the courier.", _COMMAND,
        {"type": ["string", "null"], "description": "Id of the destination; none: for all of the partition."},
        Headers({COMMAND_HEADER: {"type": "string", "enum": [kind.value for kind in CommandKind]}}),
    ),
    "action": Message(
        "Action", (Action.__doc__ or "").strip(), "action", ACCOUNT_KEY,
        Headers({"content-type": {"type": "string", "const": JSON}}),
    ),
    "deadLetter": Message(
        "Dead letter", "A refused record as it came, with the reason in its headers.", _ANY,
        {"description": "The original key, any bytes or none."}, _dead_letter(), BYTES,
    ),
    "mark": Message(
        "Mark", "A dead letter was tried again or dropped.", _MARK,
        {"type": "string", "description": "TOPIC:PARTITION:OFFSET of the dead letter."},
    ),
    "row": Message(
        "Row of state", "What a stage remembers. Private: no contract, another version may write it otherwise.", _ANY,
        {"description": "Bytes that only the stage reads."}, content_type=BYTES,
    ),
}  # fmt: skip

CONTROLS: Final = ("clock", "thresholds", "catalogChange", "erase", "sketch")

CHANNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "product_events": ("productEvent",),
    "product_events_dlq": ("deadLetter",),
    "identity_changelog": ("row",),
    "account_events": ("accountEvent", *CONTROLS),
    "account_events_late": ("accountEvent",),
    "account_events_dlq": ("deadLetter",),
    "accounts_changelog": ("row",),
    "catalogs": ("catalog",),
    "transitions": ("transition",),
    "membership": ("membership", "membershipErased"),
    "transitions_dlq": ("deadLetter",),
    "router_changelog": ("row",),
    "inbox": ("routed", "command"),
    "deliveries_changelog": ("row",),
    "dead_letter_marks": ("mark",),
    "actions": ("action",),
}
"""Messages by topic, which is named as in `streams.topics.Topics`."""

PUBLIC: Final = frozenset({"product_events", "account_events", "transitions", "membership", "actions", "catalogs"})
"""What others may write or read; all else is between Pegel's own parts and may change with any version."""
