"""What a rebuilt partition writes: rows that differ, and what must be told. Pure.

    an account ...                                what is written
    is as it was                                  nothing, but its row if that is of another version
    differs, and nobody was told otherwise        its row
    differs from what was told                    its row, its transitions and its membership (`reconcile`)
    has no record in what was read of the log     nothing: its row stays, for the log cannot say better
    is erased                                     tombstones, where there is anything left

What was erased stays erased, whether the log still says so or not.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from schemas.membership import WireMembership
from schemas.timestamps import format_ms
from schemas.transition import WireTransition, encode_transition
from streams.engagement import rows
from streams.engine import codec
from streams.engine.account import MINUS_INFINITY, Account
from streams.engine.found import Transition
from streams.engine.outgoing import emitted, membership_value, told, transition_headers
from streams.engine.population import Thresholds
from streams.engine.program import Program
from streams.engine.working import Working
from streams.rebuild.compare import differing_fields
from streams.rebuild.recompute import Rows
from streams.rebuild.reconcile import Published, Reason, reconcile
from streams.runtime.stage import Output
from streams.topics import Topics

KEPT: Final = "kept"
ERASED: Final = "erased"
_ERASURES: Final = (rows.ERASED_ACCOUNT, rows.ERASED_USER)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One partition as the log has it. `untold`: transitions that may have to be written yet."""

    rows: Rows
    program: Program
    """The rules in force where it ends."""
    untold: Mapping[str, list[WireTransition]]
    cut: bool
    """The log was not read from its very beginning."""


@dataclass(slots=True)
class Plan:
    """One transaction's worth."""

    outputs: list[Output] = field(default_factory=list)
    changes: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    accounts: Counter[str] = field(default_factory=Counter)
    """How many accounts came to which end."""


class Planner:
    """Makes the plan of one partition."""

    def __init__(
        self, topics: Topics, old: Rows, rebuilt: Rebuilt, now_ms: int, state_version: int = codec.VERSION
    ) -> None:
        self._topics = topics
        self._state_version = state_version
        self._old = old
        self._rebuilt = rebuilt
        self._now_ms = now_ms
        fresh = partition_row(rebuilt.rows)
        assert fresh is not None, "a stage that took records writes its own row"
        self._row = merged_row(partition_row(old), fresh)
        self._program = rebuilt.program
        self._members: Counter[str] = Counter()
        self._plan = Plan()

    def plan(self, memberships: Mapping[str, WireMembership]) -> Plan:
        old, new = self._old, self._rebuilt.rows
        erased = {key for key in (*old, *new) if key.startswith(_ERASURES)}
        for key in dict.fromkeys((*new, *old)):
            if key.startswith(rows.ACCOUNT):
                account_id = key[len(rows.ACCOUNT) :].decode()
                is_erased = rows.ERASED_ACCOUNT + account_id.encode() in erased
                self._account(account_id, memberships.get(account_id), is_erased=is_erased)
        self._write_others()
        return self._plan

    def _account(self, account_id: str, membership: WireMembership | None, *, is_erased: bool) -> None:
        key = rows.ACCOUNT + account_id.encode()
        stored, fresh = self._old.get(key), self._rebuilt.rows.get(key)
        if is_erased:
            if stored is not None:
                self._plan.changes.append((key, None))
            if membership is not None:
                self._plan.outputs.append(Output(self._topics.membership, account_id.encode(), None))
            self._plan.accounts[ERASED] += 1
        elif fresh is not None:
            outdated = stored is not None and codec.version_of(stored) != self._state_version
            account = codec.decode(fresh)
            self._rebuilt_account(account_id, account, readable(stored), membership, outdated=outdated)
            self._members.update([*account.members])
        elif stored is not None:
            self._plan.accounts[KEPT] += 1
            kept = readable(stored)
            self._members.update([] if kept is None else [*kept.members])
            if kept is not None and codec.version_of(stored) != self._state_version:
                self._store(account_id, kept)

    def _rebuilt_account(
        self,
        account_id: str,
        account: Account,
        old: Account | None,
        membership: WireMembership | None,
        *,
        outdated: bool,
    ) -> None:
        published = published_last(membership, old)
        if self._rebuilt.cut and old is not None:
            for segment, at in old.exits.items():
                account.exits[segment] = max(at, account.exits.get(segment, at))
        told = [one for one in self._rebuilt.untold.get(account_id, ()) if one.sequence > published.sequence]
        found = reconcile(account_id, account, published, () if self._rebuilt.cut else told, self._program)
        self._plan.accounts[found.reason] += 1
        if found.reason is Reason.SAME and old is not None:
            account.reported_day, account.reported_sequence = old.reported_day, old.reported_sequence
            if not differing_fields(old, account, self._row.floor) and not outdated:
                return
        for read in found.continuation:
            self._tell_again(read)
        for correction in found.corrections:
            self._tell(correction)
        if found.reason is not Reason.SAME:
            self._tell_membership(account_id, account)
        self._store(account_id, account)

    def _store(self, account_id: str, account: Account) -> None:
        self._plan.changes.append((rows.ACCOUNT + account_id.encode(), codec.encode(account, self._state_version)))

    def _tell_again(self, read: WireTransition) -> None:
        """The transition as the engine made it out of the log, but written now."""
        value = encode_transition(msgspec.structs.replace(read, emitted_at=format_ms(self._now_ms)))
        key, transition_id, at = read.account_id.encode(), read.transition_id.encode(), read.effective_at.encode()
        self._plan.outputs.append(
            Output(self._topics.transitions, key, value, transition_headers(transition_id, at, key))
        )

    def _tell(self, transition: Transition) -> None:
        new = told(transition, emitted(self._now_ms))
        headers = transition_headers(new.transition_id, new.effective_at, new.account_id)
        self._plan.outputs.append(Output(self._topics.transitions, new.account_id, new.value, headers))

    def _tell_membership(self, account_id: str, account: Account) -> None:
        thresholds = Thresholds(self._row.ranked_at, self._row.percentiles)
        value = membership_value(account_id, account, Working(self._program, account, thresholds))
        account.reported_sequence = account.sequence
        self._plan.outputs.append(Output(self._topics.membership, account_id.encode(), value))

    def _write_others(self) -> None:
        old, new, changes = self._old, self._rebuilt.rows, self._plan.changes
        for key, value in new.items():
            if key.startswith((rows.SKETCH, *_ERASURES)) and old.get(key) != value:
                changes.append((key, value))
        if not self._rebuilt.cut:
            changes += [(key, None) for key in old if key.startswith(rows.SKETCH) and key not in new]
        row = msgspec.msgpack.encode(msgspec.structs.replace(self._row, members=dict(sorted(self._members.items()))))
        if old.get(rows.PARTITION) != row:
            changes.append((rows.PARTITION, row))


def partition_row(stored: Mapping[bytes, bytes | None]) -> rows.PartitionRow | None:
    value = stored.get(rows.PARTITION)
    return None if value is None else msgspec.msgpack.decode(value, type=rows.PartitionRow)


def merged_row(old: rows.PartitionRow | None, fresh: rows.PartitionRow) -> rows.PartitionRow:
    """The rebuilt row, with what only the old one can know: of which day a look was taken, and numbers that go on."""
    if old is None:
        return fresh
    decided = [day for day in (old.decided_day, fresh.decided_day) if day is not None]
    return msgspec.structs.replace(
        fresh,
        floor=max(old.floor, fresh.floor),
        newest_arrival=max(old.newest_arrival, fresh.newest_arrival),
        announced=old.announced or fresh.announced,
        looked_day=old.looked_day,
        decided_day=max(decided, default=None),
        number=max(old.number, fresh.number),
    )


def seed_of(old: Mapping[bytes, bytes | None]) -> Rows:
    """Where reading begins if the log is not read from its beginning: rules, percentiles and erasures, no clock."""
    row = partition_row(old)
    seed: Rows = {key: value for key, value in old.items() if key.startswith(_ERASURES)}
    if row is not None:
        seed[rows.PARTITION] = msgspec.msgpack.encode(
            msgspec.structs.replace(
                row,
                floor=MINUS_INFINITY,
                newest_arrival=MINUS_INFINITY,
                decided_day=None,
                number=0,
                pending=[],
                members={},
            )
        )
    return seed


def has_work_in_hand(old: Mapping[bytes, bytes | None]) -> bool:
    """Whether the workers have something yet to bring all accounts through."""
    row = partition_row(old)
    return row is not None and bool(row.pending)


def readable(stored: bytes | None) -> Account | None:
    """The account of a row; None if there is none, or if this version cannot read it."""
    if stored is None:
        return None
    try:
        return codec.decode(stored)
    except codec.StateError:
        return None


def published_last(membership: WireMembership | None, old: Account | None) -> Published:
    """What was told last: the membership record says it, else the old state."""
    if membership is not None:
        return Published.of(membership)
    return Published() if old is None else Published(old.sequence, dict(old.members))
