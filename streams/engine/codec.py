"""An account's state as bytes: version, next deadline, then the msgpack of its fields (`stored.StoredAccount`).

The deadline stands in front at a fixed place, so that a partition can schedule a million accounts without decoding one.

Versions. Every version from `OLDEST` on is read, for good (`tests/data/states` keeps samples). Written is `VERSION`, or
on demand an older one from `OLDEST_WRITTEN` on: while a deployment is upgraded, and as long as it may have to go back,
its workers write what the version before can read (docs/operations.md, Upgrade). A change that older bytes do not fit
therefore needs a new version, a way to read the old, and a way to write the one before. What is added at the end, and
what a reader of old takes for nothing, needs none of this.
"""

import struct
from typing import Final

import msgspec

from streams.engine.account import FIELDS, Account, EventSeries, MeasureSeries
from streams.engine.message_ids import DIGEST_BYTES, ENTRY_BYTES, MessageIds
from streams.engine.rules.linear import NEVER
from streams.engine.stored import StoredAccount

VERSION: Final = 2
OLDEST: Final = 1
OLDEST_WRITTEN: Final = 1
_HEADER: Final = struct.Struct(">Bq")
_HEADER_BYTES: Final = 9
_pack: Final = _HEADER.pack
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(StoredAccount).decode


class StateError(ValueError):
    """Stored state that this version cannot read."""


def encode(account: Account, version: int = VERSION) -> bytes:
    """Of an older version, from `OLDEST_WRITTEN` on, for workers that read no newer one."""
    if version != VERSION:
        assert version == 1, f"version {version} is not written"
        return _encode_as_1(account)
    head: bytes = _pack(VERSION, account.next_at)
    return head + _encode(_stored(account))


def _encode_as_1(account: Account) -> bytes:
    """Message ids were a map, and what never comes was a later moment."""
    fields = [*_stored(account)]
    next_at = _NEVER_OF_1 if account.next_at >= NEVER else account.next_at
    fields[_PLACE_OF_NEXT_AT] = next_at
    if account.first_seen >= NEVER:
        fields[_PLACE_OF_FIRST_SEEN] = _NEVER_OF_1
    arrivals = account.message_ids.arrivals()
    fields[_PLACE_OF_MESSAGE_IDS] = {int.from_bytes(digest, "big"): at for digest, at in arrivals.items()}
    head: bytes = _pack(1, next_at)
    return head + _encode(fields)


_NEVER_OF_1: Final = 1 << 62
_PLACE_OF_NEXT_AT: Final = FIELDS.index("next_at")
_PLACE_OF_FIRST_SEEN: Final = FIELDS.index("first_seen")
_PLACE_OF_MESSAGE_IDS: Final = FIELDS.index("message_ids")


def _stored(account: Account) -> tuple[object, ...]:
    """Plain values in the order of `stored.StoredAccount`."""
    ids, measures = account.message_ids, account.measures
    return (
        account.now,
        account.arrival,
        account.floor,
        account.next_at,
        account.sequence,
        account.first_seen,
        account.total,
        account.last_active,
        account.converted_at,
        account.cancelled_at,
        account.tie_cancelled,
        account.traits,
        {name: series.stored() for name, series in account.events.items()},
        account.activity,
        account.score,
        account.users,
        account.teams,
        account.nps,
        account.steps,
        account.sequences,
        {name: (measure.days, measure.values) for name, measure in measures.items()} if measures else _NOTHING,
        (ids.newest, ids.entries),
        account.reported_day,
        account.reported_sequence,
        account.ranks,
        account.members,
        account.exits,
        account.operation,
    )


_NOTHING: Final[dict[str, object]] = {}


def decode(stored: bytes) -> Account:
    """Decode a stored account.

    Raises:
        StateError: not written by this version or an older one.
    """
    _check_version(stored)
    try:
        found = _decode(memoryview(stored)[_HEADER_BYTES:])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"stored state is damaged: {error}") from error
    account = Account()
    account.now, account.arrival, account.floor = found.now, found.arrival, found.floor
    account.next_at, account.first_seen = min(found.next_at, NEVER), min(found.first_seen, NEVER)
    account.sequence, account.total, account.operation = found.sequence, found.total, found.operation
    account.last_active, account.converted_at = found.last_active, found.converted_at
    account.cancelled_at, account.tie_cancelled = found.cancelled_at, found.tie_cancelled
    account.traits = found.traits
    account.events = {name: EventSeries(*series) for name, series in found.events.items()}
    account.activity, account.score = found.activity, found.score
    account.users, account.teams, account.nps = found.users, found.teams, found.nps
    account.steps, account.sequences = found.steps, found.sequences
    account.measures = {name: MeasureSeries(*measure) for name, measure in found.measures.items()}
    account.message_ids = _message_ids(found.message_ids)
    account.reported_day, account.reported_sequence = found.reported_day, found.reported_sequence
    account.ranks, account.members, account.exits = found.ranks, found.members, found.exits
    return account


def _message_ids(found: tuple[int, bytes] | dict[int, int]) -> MessageIds:
    ids = MessageIds()
    if isinstance(found, dict):  # version 1
        for number, arrival in found.items():
            ids.take(number.to_bytes(DIGEST_BYTES, "big"), arrival)
        return ids
    newest, entries = found
    if len(entries) % ENTRY_BYTES:
        raise StateError(f"stored state is damaged: {len(entries)} bytes are no whole number of message ids")
    ids.newest = newest
    ids.entries += entries
    return ids


def version_of(stored: bytes) -> int:
    """The version in which an account is stored; 0 if it is stored in none."""
    return stored[0] if stored else 0


def next_deadline(stored: bytes) -> int:
    """The next deadline of a stored account in ms, without decoding it.

    Raises:
        StateError: not written by this version or an older one.
    """
    _check_version(stored)
    deadline: int = _HEADER.unpack_from(stored)[1]
    return min(deadline, NEVER)


def _check_version(stored: bytes) -> None:
    if len(stored) < _HEADER_BYTES or not OLDEST <= stored[0] <= VERSION:
        found = stored[0] if stored else "nothing"
        raise StateError(
            f"stored state has version {found}, this program reads {OLDEST} to {VERSION}: "
            "start a version that does, or rebuild the state (docs/operations.md, Upgrade)"
        )
