"""What there is to see of a partition: levels for gauges, under the names of `streams.metrics`.

When a deadline is overdue. It fires once the clock is `GRACE_MS` past it, and the clock is written once a second when
it has to be; so up to two seconds are usual. Where nobody fires deadlines by the clock, none is overdue: with the clock
off, and while history is published, whose time the wall clock must not speak for (`clock`).

When event time stands still. The clock of a partition is the arrival of the latest record, or the latest clock record.
Where all has been read and no deadline waits, nothing depends on it: then it counts as being at the wall clock.
"""

from collections.abc import Iterator, Mapping

from streams.engagement.clock import PartitionClock
from streams.engine.account import MINUS_INFINITY
from streams.engine.partition import Partition
from streams.limits import GRACE_MS, OVERDUE_COUNTED_MAX


def levels(
    engine: Partition, clock: PartitionClock, members: Mapping[str, int], *, caught_up: bool
) -> Iterator[tuple[str, float]]:
    program = engine.program
    yield "state_rows", len(engine)
    yield "state_bytes", engine.stored_bytes
    yield "pending_deadlines", engine.pending_deadlines()
    yield from ((f"members:{segment}", members.get(segment, 0)) for segment in program.ids)
    # Until a new catalog has reached all accounts, some are still where the one before had them.
    yield from ((f"members:{segment}", count) for segment, count in members.items() if segment not in program.bits)
    yield f"catalog_info:{program.version}:{program.catalog.name}", 1
    now_ms = clock.deadlines_at()
    found, earliest = (0, 0) if now_ms is None else engine.overdue(now_ms - GRACE_MS, OVERDUE_COUNTED_MAX)
    yield "overdue_deadlines", found
    yield "overdue_seconds", (now_ms - GRACE_MS - earliest) / 1000 if found and now_ms is not None else 0
    yield "watermark_delay_seconds", 0 if caught_up and not found else _delay_ms(engine, clock) / 1000


def _delay_ms(engine: Partition, clock: PartitionClock) -> int:
    reached = max(engine.floor, clock.newest_arrival)
    if clock.wall_ms is None or reached == MINUS_INFINITY:
        return 0
    return max(0, clock.wall_ms - reached)
