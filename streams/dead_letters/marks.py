"""What was done with a dead letter: one mark each, in a compacted topic of one partition.

A dead letter itself never changes and leaves when its topic's retention is over. Its mark is written in the same Kafka
transaction as the record that is tried again, so that there are both or neither. Marks have no retention of their own:
one that left before its letter would open the letter anew. A mark whose letter is gone is removed by the next retry or
drop.

A mark names the time of its letter too: if the dead-letter topic was deleted and made anew, its offsets begin again,
and old marks mean none of the new letters.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

NOTE_CHARS_MAX: Final = 500
WHO_CHARS_MAX: Final = 100


class Action(StrEnum):
    RETRIED = "retried"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a dead letter lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @staticmethod
    def parse(text: str) -> "Place | None":
        """Read back what `str` wrote; None if it is none."""
        topic, _, rest = text.partition(":")
        partition, _, offset = rest.partition(":")
        if not (topic and _number(partition) and _number(offset)):
            return None
        return Place(topic, int(partition), int(offset))


class Mark(msgspec.Struct, frozen=True):
    """What was done, when (RFC 3339), by whom and why; `letter_ms` is the Kafka timestamp of the dead letter."""

    action: Action
    letter_ms: int
    at: str
    by: str
    note: str = ""


_decoder: Final = msgspec.json.Decoder(Mark)


def encode(mark: Mark) -> bytes:
    return msgspec.json.encode(mark)


def decode(raw: bytes) -> Mark | None:
    """The mark of a record's value; None if it is none."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str((1 << 63) - 1))
