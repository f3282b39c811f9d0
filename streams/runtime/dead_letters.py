"""A refused record as a dead letter: as it came, with the reason in its headers."""

from schemas.dead_letter import DeadLetter, Rejected
from schemas.timestamps import format_ms
from streams.limits import DEAD_LETTER_KEY_BYTES_MAX, DEAD_LETTER_VALUE_BYTES_MAX
from streams.runtime.headers import passed_on
from streams.runtime.stage import InputRecord, Output


def dead_letter(record: InputRecord, rejected: Rejected, source: tuple[str, int], topic: str) -> Output:
    """The dead letter of a record of `source` (topic and partition).

    Key and value are the record's own, cut only where they are larger than a broker would take from us: a batch that
    was compressed on its way in may hold more than it seems. If the value was cut, the headers say how long it was.
    """
    value = record.value
    cut = value is not None and len(value) > DEAD_LETTER_VALUE_BYTES_MAX
    letter = DeadLetter(
        original_topic=source[0],
        original_partition=source[1],
        original_offset=record.offset,
        reason=rejected.reason,
        detail=rejected.detail,
        first_seen=format_ms(record.timestamp),
        original_bytes=len(value) if value is not None and cut else None,
    )
    return Output(
        topic,
        None if record.key is None else record.key[:DEAD_LETTER_KEY_BYTES_MAX],
        value[:DEAD_LETTER_VALUE_BYTES_MAX] if value is not None and cut else value,
        [*passed_on(record.headers), *letter.to_headers()],
    )
