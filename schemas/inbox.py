"""What lies in `notifier.inbox.v1`: transitions, once for each destination that may want to know, and commands.

A *routed* record has the destination as its key, the transition's original bytes as its value, and the original
record's headers; what else must be known to write the original record once more stands in headers of its own. A
*command* has the header `pegel-command` with its kind, and JSON as its value; its key is the destination that it is
for, or nothing where it is for all of a partition.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from schemas.dead_letter import (
    DESTINATION_HEADER,
    ORIGINAL_OFFSET_HEADER,
    ORIGINAL_PARTITION_HEADER,
    ORIGINAL_TIMESTAMP_HEADER,
    Rejected,
    RejectReason,
)

ORIGINAL_KEY_HEADER: Final = "pegel-original-key"
COMMAND_HEADER: Final = "pegel-command"

_ROUTING: Final = frozenset(
    {
        DESTINATION_HEADER,
        ORIGINAL_PARTITION_HEADER,
        ORIGINAL_OFFSET_HEADER,
        ORIGINAL_TIMESTAMP_HEADER,
        ORIGINAL_KEY_HEADER,
    }
)

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Original:
    """The record of `segments.transitions.v1` that a routed record repeats, but for its value."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: Headers = field(default=(), repr=False)


def routed_headers(destination: str, original: Original) -> list[tuple[str, bytes | None]]:
    """The headers of a routed record."""
    place: list[tuple[str, bytes | None]] = [
        (DESTINATION_HEADER, destination.encode()),
        (ORIGINAL_PARTITION_HEADER, str(original.partition).encode()),
        (ORIGINAL_OFFSET_HEADER, str(original.offset).encode()),
        (ORIGINAL_TIMESTAMP_HEADER, str(original.timestamp_ms).encode()),
        (ORIGINAL_KEY_HEADER, original.key),
    ]
    return [pair for pair in original.headers if pair[0] not in _ROUTING] + place


def original_of(headers: Headers) -> tuple[str, Original]:
    """The destination and the original of a routed record; raises `Rejected` if nobody routed it."""
    named = {name: value for name, value in headers if name in _ROUTING}
    try:
        original = Original(
            _number(named[ORIGINAL_PARTITION_HEADER]),
            _number(named[ORIGINAL_OFFSET_HEADER]),
            _number(named[ORIGINAL_TIMESTAMP_HEADER]),
            named[ORIGINAL_KEY_HEADER],
            tuple(pair for pair in headers if pair[0] not in _ROUTING),
        )
        return (named[DESTINATION_HEADER] or b"").decode(), original
    except (KeyError, ValueError):
        raise Rejected(RejectReason.BAD_HEADERS, "the record does not say what was routed, and where to") from None


def _number(value: bytes | None) -> int:
    found = int((value or b"").decode())
    if found < 0:
        raise ValueError
    return found


class CommandKind(StrEnum):
    """What an operator may ask of the courier."""

    PAUSE = "pause"
    """Start nothing at this destination until `resume`."""
    RESUME = "resume"
    DRAIN = "drain"
    """Deliver what is open by now, and hold what comes later."""
    RETRY = "retry"
    """Try an open delivery now, and begin its backoff anew."""
    DROP = "drop"
    """Give up an open delivery, without a dead letter."""
    SILENCE = "silence"
    """Suppress what matches, until a time."""
    UNSILENCE = "unsilence"
    FORGET = "forget"
    """Forget an account, which was erased: what is known of it, and what was to be told of it."""


class SilenceOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be suppressed: everything that each given word matches, until `until_ms`."""

    id: str
    until_ms: int
    account: str | None = None
    segment: str | None = None
    play: str | None = None


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One command. `at_ms`, `by` and `note` are for those who ask later."""

    at_ms: int
    by: str = ""
    note: str = ""
    delivery_id: str | None = None
    account: str | None = None
    silence: SilenceOrder | None = None
    """Of `unsilence` only the id counts."""


_decoder: Final = msgspec.json.Decoder(Command)


def command_record(kind: CommandKind, command: Command) -> tuple[tuple[str, bytes], bytes]:
    """Header and value."""
    return (COMMAND_HEADER, kind.value.encode()), msgspec.json.encode(command)


def command_of(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> tuple[CommandKind, Command] | None:
    """The command that a record is, None if it is none; raises `Rejected`."""
    named = next((content for name, content in headers if name == COMMAND_HEADER), None)
    if named is None:
        return None
    try:
        return CommandKind(named.decode()), _decoder.decode(value or b"")
    except (ValueError, msgspec.DecodeError):
        raise Rejected(RejectReason.BAD_CONTROL, "the record is no command that this version knows") from None
