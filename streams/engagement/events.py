"""The part of the stage that nearly every record goes through: an event without headers, read and applied.

Theory of operation. `take_events` applies events of a batch one after the other. The first record that is anything else
- it has headers, has no value, or is refused - ends the run: the stage takes that one by the long way, where control
records, traces and dead letters are known, and goes on behind it. So there is no second opinion here on what a record
is worth; what is refused is read twice. This module is small because it is compiled.
"""

from collections.abc import Sequence
from typing import Final

from schemas.dead_letter import Rejected
from schemas.wire import decode_event
from streams.engagement.clock import PartitionClock
from streams.engine.partition import Outcome, Partition
from streams.engine.record import account_of_key
from streams.runtime.stage import InputRecord

_TOO_LATE: Final = Outcome.TOO_LATE


def take_events(
    records: Sequence[InputRecord], first: int, engine: Partition, clock: PartitionClock, late: list[InputRecord]
) -> int:
    """Apply records from place `first` on; return the place of the first that is no such event, else the end.

    `late` gets those that came too late to be counted.
    """
    key: bytes | None = None
    account_id = ""
    for place in range(first, len(records)):
        record = records[place]
        value = record.value
        if value is None or record.headers:
            return place
        try:
            if record.key != key or not key:
                account_id = account_of_key(record.key)
                key = record.key
            event = decode_event(value)
        except Rejected:
            return place
        arrival_ms = record.timestamp
        clock.saw_arrival(arrival_ms)
        if engine.apply(account_id, event, value, arrival_ms) is _TOO_LATE:
            late.append(record)
    return len(records)
