"""A refused record as a dead letter: as it came, with the reason in its headers.

Key, value and headers are the record's own, cut only where they are larger than a broker would take from us: a batch
that was compressed on its way in may hold more than it seems. What was cut says how much there was.

Headers of a producer that begin with `pegel-` are left out, as they are everywhere: no dead letter shall lie. But where
such a header was the runtime's own and makes the record what it is (a control record, an announcement), it is kept
under a longer name, for the record may be tried again.
"""

from dataclasses import dataclass
from typing import Final

from schemas.dead_letter import (
    DELIVERY_HEADER,
    DESTINATION_HEADER,
    FIRST_SEEN_HEADER,
    KEPT_HEADER_PREFIX,
    PEGEL_HEADER_PREFIX,
    RETRIES_HEADER,
    RETRIES_MAX,
    DeadLetter,
    Rejected,
    RejectReason,
    StageName,
)
from schemas.timestamps import format_ms, parse_ms
from streams import log_events
from streams.limits import DEAD_LETTER_HEADERS_BYTES_MAX, DEAD_LETTER_KEY_BYTES_MAX, DEAD_LETTER_VALUE_BYTES_MAX
from streams.runtime.stage import Headers, InputRecord, Output

HEADER_OVERHEAD_BYTES: Final = 8
"""Two lengths."""
RETRIES_DIGITS_MAX: Final = len(str(RETRIES_MAX))


@dataclass(frozen=True, slots=True)
class RefusedAt:
    """Where records were refused: by whom, in which partition of which topic."""

    stage: StageName
    topic: str
    partition: int
    dead_letters: str
    """The topic for them."""
    own_headers: frozenset[str] = frozenset()
    """Names of Pegel's own headers that its records may rightly have."""


def dead_letter(record: InputRecord, rejected: Rejected, at: RefusedAt, more: Headers = ()) -> Output:
    """The dead letter of a record; `more` is said in headers of its own."""
    key, value = record.key, record.value
    key_cut = key is not None and len(key) > DEAD_LETTER_KEY_BYTES_MAX
    cut = value is not None and len(value) > DEAD_LETTER_VALUE_BYTES_MAX
    kept, complete = _kept(record.headers, at.own_headers)
    moment = format_ms(max(record.timestamp, 0))
    first_seen, retries = _history(record.headers)
    about = dict(more)
    log_events.RECORD_REFUSED.tell(
        topic=at.topic,
        partition=at.partition,
        offset=record.offset,
        reason=rejected.reason.value,
        delivery_id=_text(about.get(DELIVERY_HEADER)),
        destination=_text(about.get(DESTINATION_HEADER)),
    )
    letter = DeadLetter(
        original_topic=at.topic,
        original_partition=at.partition,
        original_offset=record.offset,
        original_timestamp=moment,
        reason=rejected.reason,
        detail=rejected.detail,
        stage=at.stage,
        first_seen=first_seen or moment,
        retries=retries,
        original_bytes=len(value) if value is not None and cut else None,
        original_key_bytes=len(key) if key is not None and key_cut else None,
        original_headers=None if complete and rejected.reason is not RejectReason.BAD_HEADERS else len(record.headers),
    )
    return Output(
        at.dead_letters,
        key[:DEAD_LETTER_KEY_BYTES_MAX] if key is not None and key_cut else key,
        value[:DEAD_LETTER_VALUE_BYTES_MAX] if value is not None and cut else value,
        [*kept, *letter.to_headers(), *more],
    )


def original_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """The headers of the original record, from those of its dead letter."""
    found: list[tuple[str, bytes | None]] = []
    for name, value in headers:
        if name.startswith(KEPT_HEADER_PREFIX):
            found.append((name[len(KEPT_HEADER_PREFIX) :], value))
        elif not name.lower().startswith(PEGEL_HEADER_PREFIX):
            found.append((name, value))
    return found


def retry_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """What a record that is tried again carries, so that its next dead letter knows of this one."""
    retries = min(letter.retries + 1, RETRIES_MAX)
    return [(FIRST_SEEN_HEADER, letter.first_seen.encode()), (RETRIES_HEADER, str(retries).encode())]


def _text(word: bytes | None) -> str | None:
    return None if word is None else word.decode("utf-8", "replace")


def _kept(headers: Headers, own: frozenset[str]) -> tuple[list[tuple[str, bytes | None]], bool]:
    kept: list[tuple[str, bytes | None]] = []
    left_bytes = DEAD_LETTER_HEADERS_BYTES_MAX
    for name, value in headers:
        kept_name = KEPT_HEADER_PREFIX + name if name in own else name
        if name.lower().startswith(PEGEL_HEADER_PREFIX) and name not in own:
            continue
        left_bytes -= len(kept_name.encode()) + len(value or b"") + HEADER_OVERHEAD_BYTES
        if left_bytes < 0:
            return kept, False
        kept.append((kept_name, value))
    return kept, True


def _history(headers: Headers) -> tuple[str | None, int]:
    """Since when a record was refused before, and how often it was tried again. Anybody may have written these."""
    first_seen: str | None = None
    retries = 0
    for name, value in headers:
        if name == FIRST_SEEN_HEADER:
            ms = parse_ms((value or b"").decode("utf-8", "replace"))
            first_seen = None if ms is None else format_ms(ms)
        elif name == RETRIES_HEADER and value is not None and value.isdigit() and len(value) <= RETRIES_DIGITS_MAX:
            retries = min(int(value), RETRIES_MAX)
    return first_seen, retries
