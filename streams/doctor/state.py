"""The engagement state held against the log: read the changelogs, recompute a sample of accounts, compare.

Theory of operation. A changelog partition ends, at any committed moment, with a position row: all rows before it are
the state as of that offset of the log. The log is read to exactly there, by the stage that the workers run, with the
events of the sampled accounts and every control record; an account's state depends on nothing else. What may differ
without meaning anything is levelled before comparing (`streams.rebuild.compare`).

The membership records are read after the state. One that is behind its account is wrong; one that is ahead was
written meanwhile, unless nobody writes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from schemas.control import CONTROL_HEADER
from schemas.membership import WireMembership, decode_membership
from schemas.timestamps import format_ms
from streams.doctor.facts import Compared, StateFacts, StatePartition, Verdict
from streams.doctor.sample import Sample
from streams.engagement import rows
from streams.engine import codec
from streams.engine.account import MINUS_INFINITY, Account
from streams.engine.program import Program
from streams.rebuild.compare import differing_fields
from streams.rebuild.log import Extent, LogReader, LogRecord
from streams.rebuild.recompute import Recomputation, Rows, first_program
from streams.runtime.partitioner import partition_of
from streams.topics import Topics

OnTotal = Callable[[int], None]
"""Told how many offsets more will be read."""


@dataclass(slots=True)
class _Changelog:
    """One changelog partition as it was read."""

    partition: int
    log: Extent
    position: int | None = None
    accounts: int = 0
    unreadable: set[bytes] = field(default_factory=set)
    stray: int = 0
    row: bytes | None = None
    outdated: dict[bytes, int] = field(default_factory=dict)
    """Accounts that are stored in another version than they should be, with that version."""


@dataclass(frozen=True, slots=True)
class _Sides:
    """The sampled rows of one partition: as they are kept, and as the log has them; None: the log is cut."""

    kept: Recomputation
    fresh: Rows | None
    floor: int


def examine_state(
    reader: LogReader,
    topics: Topics,
    partitions: int,
    sample: Sample,
    program: Program,
    on_total: OnTotal,
    state_version: int = codec.VERSION,
) -> StateFacts:
    """Read everything and compare; `program` is for a log that names no catalog."""
    changelogs = [
        _read_changelog(reader, topics, number, sample, on_total, state_version) for number in range(partitions)
    ]
    for one in changelogs:
        on_total(max(0, (one.position or 0) - one.log.begin))
    sides = [_sides(reader, topics, one, partitions, sample, program) for one in changelogs]
    memberships = _memberships(reader, topics, sample, on_total)
    moving = _is_moving(reader, topics, changelogs)
    compared = []
    for (partition, account_id), stored in sorted(sample.stored.items()):
        home = partition_of(account_id.encode(), partitions)
        verdict, fields = _held_against(account_id, stored, sides[partition])
        wrong = None
        if verdict is not Verdict.UNREADABLE:
            wrong = membership_problem(_decoded(stored), memberships.get(account_id), moving=moving)
        compared.append(Compared(account_id, partition, home, verdict, fields, wrong))
    read = sum(one.position or 0 for one, side in zip(changelogs, sides, strict=True) if side.fresh is not None)
    facts = tuple(_facts_of(one, side) for one, side in zip(changelogs, sides, strict=True))
    return StateFacts(facts, tuple(compared), read, state_version)


def _read_changelog(
    reader: LogReader, topics: Topics, partition: int, sample: Sample, on_total: OnTotal, state_version: int
) -> _Changelog:
    ending = reader.ending(topics.accounts_changelog, partition)
    extent = reader.extent(topics.accounts_changelog, partition)
    found = _Changelog(partition, reader.extent(topics.account_events, partition))
    found.position = ending.position.next if ending.found else None
    found.stray = len(ending.rejected)
    on_total(ending.end - extent.begin)
    for key, value in ending.admit(reader.records(topics.accounts_changelog, partition, extent.begin, ending.end)):
        if key == rows.PARTITION:
            found.row = value
        elif key.startswith(rows.ACCOUNT):
            found.accounts += 1
            if value is None or _is_readable(value):
                found.unreadable.discard(key)
            else:
                found.unreadable.add(key)
            if value is None or codec.version_of(value) == state_version:
                found.outdated.pop(key, None)
            else:
                found.outdated[key] = codec.version_of(value)
            sample.saw_row((partition, key[len(rows.ACCOUNT) :].decode()), value)
    return found


def _is_readable(stored: bytes) -> bool:
    try:
        codec.next_deadline(stored)
    except codec.StateError:
        return False
    return True


def _sides(
    reader: LogReader, topics: Topics, one: _Changelog, partitions: int, sample: Sample, program: Program
) -> _Sides:
    fresh = None
    if one.log.begin == 0:
        fresh = _recomputed(reader, topics, one, partitions, sample, program)
    kept = Recomputation(one.partition, partitions, topics, program)
    stored = {
        rows.ACCOUNT + account_id.encode(): value
        for (partition, account_id), value in sample.stored.items()
        if partition == one.partition and value is not None and _is_readable(value)
    }
    kept.restore(stored if one.row is None else {**stored, rows.PARTITION: one.row})
    kept.settle()
    floor = MINUS_INFINITY if one.row is None else msgspec.msgpack.decode(one.row, type=rows.PartitionRow).floor
    return _Sides(kept, fresh, floor)


def _recomputed(
    reader: LogReader, topics: Topics, one: _Changelog, partitions: int, sample: Sample, program: Program
) -> Rows:
    def records() -> Iterator[LogRecord]:
        return reader.records(topics.account_events, one.partition, one.log.begin, one.position or 0)

    recomputation = Recomputation(one.partition, partitions, topics, first_program(records(), lambda: program))
    recomputation.feed(record for record in records() if _matters(record, one.partition, sample))
    recomputation.settle()
    return recomputation.rows


def _matters(record: LogRecord, partition: int, sample: Sample) -> bool:
    if any(name == CONTROL_HEADER for name, _ in record.headers):
        return True
    try:
        return sample.wants((partition, (record.key or b"").decode()))
    except UnicodeDecodeError:
        return False  # a dead letter, whoever reads it


def _is_moving(reader: LogReader, topics: Topics, changelogs: Iterable[_Changelog]) -> bool:
    return any(
        reader.ending(topics.accounts_changelog, one.partition).position.next != (one.position or 0)
        for one in changelogs
    )


def _memberships(
    reader: LogReader, topics: Topics, sample: Sample, on_total: OnTotal
) -> dict[str, WireMembership | None]:
    wanted = {account_id.encode(): account_id for _, account_id in sample.stored}
    latest: dict[str, WireMembership | None] = {}
    for partition in range(reader.partitions(topics.membership)):
        extent = reader.extent(topics.membership, partition)
        on_total(extent.end - extent.begin)
        for record in reader.records(topics.membership, partition, extent.begin, extent.end):
            account_id = wanted.get(record.key or b"")
            if account_id is not None:
                latest[account_id] = None if record.value is None else decode_membership(record.value)
    return latest


def _facts_of(one: _Changelog, side: _Sides) -> StatePartition:
    catalog = None if one.row is None else (side.kept.program.catalog.name, side.kept.program.version)
    return StatePartition(
        one.partition, one.position, one.accounts, len(one.unreadable), one.stray, catalog, one.log.begin,
        Counter(one.outdated.values()),
    )  # fmt: skip


def _held_against(account_id: str, stored: bytes | None, sides: _Sides) -> tuple[Verdict, tuple[str, ...]]:
    if stored is not None and not _is_readable(stored):
        return Verdict.UNREADABLE, ()
    if sides.fresh is None:
        return Verdict.NOT_COMPARED, ()
    key = rows.ACCOUNT + account_id.encode()
    return compare(_decoded(sides.kept.rows.get(key)), _decoded(sides.fresh.get(key)), sides.floor)


def _decoded(stored: bytes | None) -> Account | None:
    return None if stored is None else codec.decode(stored)


def compare(kept: Account | None, fresh: Account | None, floor: int) -> tuple[Verdict, tuple[str, ...]]:
    """What is stored against what the log says, both brought to the partition's clock."""
    if kept is None or fresh is None:
        if kept is fresh:
            return Verdict.EQUAL, ()
        return (Verdict.MISSING if kept is None else Verdict.NOT_IN_LOG), ()
    differing = differing_fields(kept, fresh, floor)
    return (Verdict.DIFFERS if differing else Verdict.EQUAL), differing


def membership_problem(kept: Account | None, membership: WireMembership | None, *, moving: bool) -> str | None:
    """What is wrong with an account's membership record; `moving`: the state has moved on since it was read."""
    if kept is None:
        return None if membership is None or moving else "there is one, and no state"
    if membership is None:
        return None if kept.sequence == 0 or moving else "there is none"
    if membership.sequence < kept.sequence:
        return f"it has sequence {membership.sequence}, the state {kept.sequence}"
    if membership.sequence > kept.sequence:
        return None if moving else f"it has sequence {membership.sequence}, the state {kept.sequence}"
    told = {one.segment: one.entered_at for one in membership.segments}
    held = {segment: format_ms(entered_at) for segment, entered_at in kept.members.items()}
    differing = sorted(segment for segment in told.keys() | held.keys() if told.get(segment) != held.get(segment))
    return f"it differs in {', '.join(differing)}" if differing else None
