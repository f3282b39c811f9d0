"""Accounts whose next deadline is the same midnight, and what the engagement stage alone takes to bring them past it.

`python -m benchmarks.midnight [--accounts N] [--moving PERCENT]` leaves out Kafka and the worker; the whole is
`benchmarks.deadlines`.
"""

import argparse
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Final

import msgspec

from benchmarks.load import JOB_NAMES
from schemas.timestamps import format_ms
from schemas.wire import decode_event
from streams.catalogs import load_catalog
from streams.engagement import rows
from streams.engagement.stage import EngagementConfig, EngagementStage
from streams.engine import codec
from streams.engine.partition import Partition
from streams.engine.program import Program, compile_catalog
from streams.limits import GRACE_MS
from streams.topics import Topics

DAY_MS: Final = 86_400_000
MIDNIGHT_MS: Final = 20_515 * DAY_MS
LAST_EVENT_MS: Final = MIDNIGHT_MS - DAY_MS // 3
STATES: Final = 500
OPERATION: Final = 1_000
"""More than the making of any state took."""
MOVING_PERCENT: Final = 10


def program() -> Program:
    return compile_catalog(load_catalog("default"))


def event(message_id: str, at: int, name: str, user: str) -> bytes:
    fields = {"type": "track", "event": name, "userId": user, "messageId": message_id, "timestamp": format_ms(at)}
    return json.dumps({**fields, "properties": {"team": "red"}}).encode()


def states(rules: Program, moving_percent: int = MOVING_PERCENT) -> list[bytes]:
    """Stored states of accounts whose next deadline is midnight.

    `moving_percent` of them change segments then: they leave their first days. Of the others a window moves.
    """
    rng = random.Random(7)
    kept: dict[bool, list[bytes]] = {True: [], False: []}
    wanted = {True: STATES * moving_percent // 100, False: STATES - STATES * moving_percent // 100}
    while any(len(kept[moving]) < wanted[moving] for moving in kept):
        moving = len(kept[True]) < wanted[True]
        stored = _state(rng, rules, moving=moving)
        if codec.next_deadline(stored) == MIDNIGHT_MS and len(kept[moving]) < wanted[moving]:
            kept[moving].append(stored)
    found = [*kept[True], *kept[False]]
    rng.shuffle(found)
    return found


def _state(rng: random.Random, rules: Program, *, moving: bool) -> bytes:
    """An account of some days' activity, as of just before midnight."""
    partition, names = Partition(rules), list(JOB_NAMES)
    reach = 4 * DAY_MS - DAY_MS // 3 if moving else 20 * DAY_MS
    moments = {LAST_EVENT_MS - rng.randrange(reach) for _ in range(rng.randint(2, 14))}
    for at in sorted(moments | ({MIDNIGHT_MS - 4 * DAY_MS} if moving else set())):
        raw = event(f"m{at}", at, rng.choice(names), f"u{rng.randrange(4)}")
        partition.apply("acme", decode_event(raw), raw, at)
    partition.advance_to(MIDNIGHT_MS - 1)
    partition.take_transitions()
    partition.take_reportable()
    ((_, stored),) = partition.take_changes()
    return stored


def partition_row(rules: Program, at_ms: int = LAST_EVENT_MS) -> bytes:
    """A partition that has read everything up to the last event, under the catalog.

    It has looked at its accounts on that day: else its worker would begin with that.
    """
    return msgspec.msgpack.encode(
        rows.PartitionRow(
            floor=at_ms, newest_arrival=at_ms, catalog=msgspec.Raw(rules.packed), announced=True,
            number=OPERATION, looked_day=rules.calendar.day_of(at_ms), decided_day=None, ranked_at=0, percentiles={},
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Record:
    timestamp: int
    value: bytes
    headers: list[tuple[str, bytes | None]]
    key: bytes | None = None
    offset: int = 0


def stage_alone(accounts: int, moving_percent: int) -> str:
    """What it took, in words."""
    rules = program()
    stage = EngagementStage(0, EngagementConfig(rules, Topics(), 1, "log", 0))
    kept = states(rules, moving_percent)
    for number in range(accounts):
        stage.restore(rows.ACCOUNT + b"account-%d" % number, kept[number % STATES])
    stage.restore(rows.PARTITION, partition_row(rules))
    stage.restored()
    clock = json.dumps({"at": format_ms(MIDNIGHT_MS + GRACE_MS)}).encode()
    began = time.process_time()
    stage.apply([_Record(MIDNIGHT_MS + GRACE_MS, clock, [("pegel-control", b"clock")])])
    told_s = time.process_time() - began
    slices: list[float] = []
    outputs = changes = 0
    while stage.has_backlog():
        start = time.process_time()
        worked = stage.work_off()
        slices.append(time.process_time() - start)
        if not worked:
            drained = stage.drain()
            outputs, changes = outputs + len(drained.outputs), changes + len(drained.changes)
    drained = stage.drain()
    outputs, changes = outputs + len(drained.outputs), changes + len(drained.changes)
    took = time.process_time() - began
    return (
        f"{accounts:,} deadlines: {took:.1f} s CPU, {took / accounts * 1e6:.0f} us each; {outputs:,} outputs,"
        f" {changes:,} rows; told in {told_s * 1e3:.1f} ms, slice p50 {statistics.median(slices) * 1e3:.1f} ms,"
        f" longest {max(slices) * 1e3:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--moving", type=int, default=MOVING_PERCENT, help="percent that change segments")
    given = parser.parse_args()
    sys.stdout.write(f"{stage_alone(given.accounts, given.moving)}\n")


if __name__ == "__main__":
    main()
