"""The forms in which accounts were stored up to version 2: msgpack arrays of all fields. Read for good; see `codec`.

In version 2 message ids are 12 bytes each: the hash, and the low 32 bits of the arrival, which the newest arrival
completes. Up to version 1 they were a map from hash to arrival, operations were not numbered, and what never comes was
a later moment. Written to this day for workers that read no newer version. Not compiled: msgspec's structs cannot be.
"""

from typing import Any, Final

import msgspec

from streams.engine.account import Account, Activity, EventSeries, MeasureSeries
from streams.engine.days import COUNT_MAX, DAY_MAX
from streams.engine.message_ids import DIGEST_BYTES, MessageIds
from streams.engine.rules.linear import NEVER

_NEVER_OF_1: Final = 1 << 62
_ENTRY_BYTES: Final = DIGEST_BYTES + 4
_LOW: Final = (1 << 32) - 1

StoredSeries = tuple[int, int, int, dict[int, int]]
StoredMeasure = tuple[dict[int, Any], dict[str, list[int]]]


class StoredAccount(msgspec.Struct, array_like=True, gc=False):
    """`account.Account` as it lies in a changelog row, behind the row's header."""

    now: int
    arrival: int
    floor: int
    next_at: int
    sequence: int
    first_seen: int
    total: int
    last_active: int | None
    converted_at: int | None
    cancelled_at: int | None
    tie_cancelled: bool
    traits: dict[str, tuple[int, Any]]
    events: dict[str, StoredSeries]
    activity: dict[int, int]
    score: dict[int, int]
    users: dict[str, int]
    teams: dict[str, int]
    nps: dict[str, tuple[int, float]]
    steps: dict[str, int]
    sequences: dict[str, int]
    measures: dict[str, StoredMeasure]
    message_ids: tuple[int, bytes] | dict[int, int]
    reported_day: int
    reported_sequence: int
    ranks: tuple[int, ...] | None
    members: dict[str, int]
    exits: dict[str, int]
    operation: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(StoredAccount).decode


def encode(account: Account, version: int) -> tuple[int, bytes]:
    """The next deadline as this version writes it, and the fields."""
    found = StoredAccount(
        now=account.now,
        arrival=account.arrival,
        floor=account.floor,
        next_at=account.next_at,
        sequence=account.sequence,
        first_seen=account.first_seen,
        total=account.total,
        last_active=account.last_active,
        converted_at=account.converted_at,
        cancelled_at=account.cancelled_at,
        tie_cancelled=account.tie_cancelled,
        traits=account.traits,
        events={name: (one.total, one.first, one.last, one.counts()) for name, one in account.events.items()},
        activity=account.activity.counts(),
        score=account.activity.by_day(),
        users=account.users,
        teams=account.teams,
        nps=account.nps,
        steps=account.steps,
        sequences=account.sequences,
        measures={name: (measure.days, measure.values) for name, measure in account.measures.items()},
        message_ids=(account.message_ids.newest, _entries(account.message_ids)),
        reported_day=account.reported_day,
        reported_sequence=account.reported_sequence,
        ranks=account.ranks,
        members=account.members,
        exits=account.exits,
        operation=account.operation,
    )
    if version == 1:
        found.next_at = _NEVER_OF_1 if account.next_at >= NEVER else account.next_at
        found.first_seen = _NEVER_OF_1 if account.first_seen >= NEVER else account.first_seen
        arrivals = account.message_ids.arrivals()
        found.message_ids = {int.from_bytes(digest, "big"): at for digest, at in arrivals.items()}
    return found.next_at, _encode(found)


def decode(row: bytes | memoryview) -> Account:
    """The account of a row behind its header.

    Raises:
        ValueError: the bytes are damaged.
    """
    found = _decode(row)
    account = Account()
    account.now, account.arrival, account.floor = found.now, found.arrival, found.floor
    account.first_seen = min(found.first_seen, NEVER)
    account.sequence, account.total, account.operation = found.sequence, found.total, found.operation
    account.last_active, account.converted_at = found.last_active, found.converted_at
    account.cancelled_at, account.tie_cancelled = found.cancelled_at, found.tie_cancelled
    account.traits = found.traits
    account.events = {
        name: EventSeries(total, first, last, _counts(days))
        for name, (total, first, last, days) in found.events.items()
    }
    account.activity = Activity(_counts(found.activity), _scores(found.score))
    account.users, account.teams, account.nps = _last_days(found.users), _last_days(found.teams), found.nps
    account.steps, account.sequences = found.steps, found.sequences
    account.measures = {name: MeasureSeries(*measure) for name, measure in found.measures.items()}
    account.message_ids = _message_ids(found.message_ids)
    account.reported_day, account.reported_sequence = found.reported_day, found.reported_sequence
    account.ranks, account.members, account.exits = found.ranks, found.members, found.exits
    return account


def _counts(days: dict[int, int]) -> dict[int, int]:
    for day, count in days.items():
        if abs(day) > DAY_MAX or not 0 < count <= COUNT_MAX:
            raise ValueError(f"{count} events on day {day}")
    return days


def _scores(scores: dict[int, int]) -> dict[int, int]:
    if any(abs(score) >> 60 for score in scores.values()):
        raise ValueError("a score that no events give")
    return scores


def _last_days(days: dict[str, int]) -> dict[str, int]:
    if any(abs(day) > DAY_MAX for day in days.values()):
        raise ValueError("a day that is none")
    return days


def _message_ids(found: tuple[int, bytes] | dict[int, int]) -> MessageIds:
    ids = MessageIds()
    if isinstance(found, dict):  # version 1
        for number, arrival in found.items():
            ids.take(number.to_bytes(DIGEST_BYTES, "big"), arrival)
        return ids
    newest, entries = found
    if len(entries) % _ENTRY_BYTES:
        raise ValueError(f"{len(entries)} bytes are no whole number of message ids")
    for place in range(0, len(entries), _ENTRY_BYTES):
        middle, end = place + DIGEST_BYTES, place + _ENTRY_BYTES
        low = int.from_bytes(entries[middle:end], "big")
        ids.take(entries[place:middle], newest - (newest - low & _LOW))
    return ids


def _entries(ids: MessageIds) -> bytes:
    """Of each id its hash and the low bits of its arrival."""
    return b"".join(digest + (arrival & _LOW).to_bytes(4, "big") for digest, arrival in ids.arrivals().items())
