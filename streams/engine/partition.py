"""All accounts of one partition of the log, and the records that concern them: the engine's one entrance.

Theory of operation. Accounts do not know of each other; a partition is a map of them plus a clock. An account that is
not touched stays as the bytes it was stored as. The first touch decodes it and builds its working set; beyond
`LIVE_ACCOUNTS_MAX` the longest decoded go back to bytes.

Deadlines wait in a heap. An account has at most one entry that counts, `_scheduled`, which is never later than its true
next deadline: a deadline that moves ahead is rescheduled when the old entry comes up, so that an event usually costs
the heap nothing. The heap is only asked by clock records and by `advance_to`; an account's own records fire its own
deadlines.

Transitions and changed accounts gather until they are taken; `take_changes` encodes each account once, however many
records it took.
"""

import heapq
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.catalog import BILLING_EVENTS
from schemas.wire import WireEvent
from streams.engine import codec
from streams.engine.account import MINUS_INFINITY, Account
from streams.engine.apply import NPS_EVENT, Counts, Noted, apply_record, bounded_identity, is_activity, names_of
from streams.engine.clock import fire_deadlines, horizon, settle
from streams.engine.population import NO_THRESHOLDS, Thresholds, Values, cuts_of, ranks_of
from streams.engine.program import Program
from streams.engine.record import Record, record_of
from streams.engine.rules.linear import NEVER
from streams.engine.switch import switch
from streams.engine.transitions import Transition, evaluate
from streams.engine.working import Working
from streams.limits import CLOCK_SKEW_NOTED_MS, GRACE_MS, MESSAGE_ID_AGE_MAX_MS, MESSAGE_IDS_MAX, RETENTION_DAYS

LIVE_ACCOUNTS_MAX: Final = 50_000
_FACT_EVENTS: Final = frozenset({*BILLING_EVENTS, NPS_EVENT})


class Outcome(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"
    SUPPRESSED = "suppressed"


class _Live:
    __slots__ = ("account", "working")

    def __init__(self, account: Account, working: Working) -> None:
        self.account = account
        self.working = working


class Partition:
    """The accounts of one partition under one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.floor = MINUS_INFINITY  # the greatest clock record so far
        self.thresholds = NO_THRESHOLDS
        self.erased_accounts: set[str] = set()
        self.erased_users: set[str] = set()
        self.counts = Counts()
        self._live: dict[str, _Live] = {}
        self._stored: dict[str, bytes] = {}
        self._changed: dict[str, None] = {}
        self._transitions: list[Transition] = []
        self._heap: list[tuple[int, str]] = []
        self._scheduled: dict[str, int] = {}

    # Records

    def apply(self, account_id: str, event: WireEvent, raw: bytes, arrival_ms: int) -> Outcome:
        """Take one event of the log."""
        record = record_of(event, raw, arrival_ms)
        if account_id in self.erased_accounts or (self.erased_users and record.user in self.erased_users):
            self.counts[Noted.SUPPRESSED] += 1
            return Outcome.SUPPRESSED
        live = self._touch(account_id)
        if live is None:
            return self._apply_first(account_id, record)
        account = live.account
        if _is_duplicate(account, record):
            self.counts[Noted.DUPLICATE] += 1
            return Outcome.DUPLICATE
        account.arrival = max(account.arrival, record.a)
        record = self._not_ahead(account, record)
        until = horizon(record.t, account.arrival)
        if account.next_at <= until:
            self._transitions += fire_deadlines(account_id, account, live.working, until)
        outcome = self._apply_at(account_id, live, record, until)
        self._changed[account_id] = None
        return outcome

    def _apply_first(self, account_id: str, record: Record) -> Outcome:
        """The first record of an account, which exists only if the record is applied."""
        account = Account(arrival=record.a, floor=self.floor)
        record = self._not_ahead(account, record)
        live = _Live(account, Working(self.program, account, self.thresholds))
        outcome = self._apply_at(account_id, live, record, horizon(record.t, account.arrival))
        if account.first_seen < NEVER:
            self._live[account_id] = live
            self._changed[account_id] = None
        return outcome

    def _not_ahead(self, account: Account, record: Record) -> Record:
        """A producer's clock that is ahead is set to the arrival."""
        ahead = record.t - account.arrival
        if ahead <= 0:
            return record
        if ahead > CLOCK_SKEW_NOTED_MS:
            self.counts[Noted.CLOCK_AHEAD] += 1
        return Record(record.event, account.arrival, record.a, record.message_hash, record.message_id)

    def _apply_at(self, account_id: str, live: _Live, record: Record, until: int) -> Outcome:
        """Step 3: the clock moves to the horizon, the record is applied and the account evaluated."""
        account, working = live.account, live.working
        account.now = max(account.now, until)
        calendar = self.program.calendar
        today = calendar.day_of(account.now)
        working.roll(today)
        names = names_of(record, working, self.counts)
        late = is_activity(names, working) and calendar.day_of(record.t) <= today - RETENTION_DAYS
        _remember(account, record)
        if late:
            self.counts[Noted.TOO_LATE] += 1
        if not late or names[0] in _FACT_EVENTS:
            apply_record(account, working, record, names, self.counts, too_late=late)
        if account.first_seen == NEVER:
            return Outcome.TOO_LATE
        found = evaluate(account_id, account, working, (record.message_id, record.event.type))
        if found:
            self._transitions += found
        if account.next_at < self._scheduled.get(account_id, NEVER):
            self._schedule(account_id, account.next_at)
        if late:
            return Outcome.TOO_LATE
        self.counts[Noted.APPLIED] += 1
        return Outcome.APPLIED

    # Clock

    def advance_clock(self, at_ms: int) -> None:
        """A clock record: arrival time has reached `at_ms` for every account."""
        self.floor = max(self.floor, at_ms)
        self.advance_to(at_ms - GRACE_MS)

    def advance_to(self, until: int) -> None:
        """Fire every deadline of every account up to and including `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            at, account_id = heapq.heappop(heap)
            if self._scheduled.get(account_id) != at:
                continue  # an entry that was overtaken by an earlier one
            del self._scheduled[account_id]
            live = self._require(account_id)
            if live.account.next_at <= until:
                self.counts[Noted.DEADLINE] += 1
                self._transitions += fire_deadlines(account_id, live.account, live.working, until)
                self._changed[account_id] = None
            self._schedule(account_id, live.account.next_at)

    def next_deadline(self) -> int:
        """The earliest moment at which a deadline may be due, in ms; `NEVER` if there is none."""
        return self._heap[0][0] if self._heap else NEVER

    def _schedule(self, account_id: str, at: int) -> None:
        if at < NEVER:
            self._scheduled[account_id] = at
            heapq.heappush(self._heap, (at, account_id))

    # Population

    def look(self, at_ms: int) -> dict[str, Values]:
        """What every account is ranked by, as of `at_ms`. Changes none: stored accounts are decoded for the moment."""
        program = self.program
        ranked_values, day_of = program.ranked_values, program.calendar.day_of
        looked = {}
        for account_id in [*self._live, *self._stored]:
            live = self._peek(account_id)
            account, working = live.account, live.working
            if working.counted:
                working.roll(day_of(max(account.now, at_ms)))
            looked[account_id] = ranked_values(account, working, at_ms, working.members)
        return looked

    def apply_thresholds(self, thresholds: Thresholds, looked: Mapping[str, Values] | None = None) -> None:
        """A thresholds record: from its moment on, accounts are compared with these percentiles.

        Only accounts whose rank it changes are brought to that moment and evaluated. `looked` is `look` as of that
        moment, if the caller has just taken it.
        """
        if not self.program.slots.ranked:
            return  # percentiles that no rule asks for
        at_ms = thresholds.at_ms
        cuts = cuts_of(thresholds, self.program.slots.ranked)
        for account_id, values in (self.look(at_ms) if looked is None else looked).items():
            ranks = ranks_of(values, cuts)
            if ranks == self._read(account_id).ranks:
                continue
            live = self._require(account_id)
            account, working = live.account, live.working
            self._transitions += fire_deadlines(account_id, account, working, at_ms)
            account.ranks = ranks
            working.thresholds = thresholds
            account.now = max(account.now, at_ms)
            self._transitions += evaluate(account_id, account, working, "thresholds")
            self._changed[account_id] = None
            if account.next_at < self._scheduled.get(account_id, NEVER):
                self._schedule(account_id, account.next_at)
        self.thresholds = thresholds

    def _peek(self, account_id: str) -> _Live:
        """An account to be read and left as it is: a look at all of them must not keep all of them decoded."""
        live = self._live.get(account_id)
        if live is not None:
            return live
        account = self._read(account_id)
        return _Live(account, Working(self.program, account, self.thresholds))

    def _read(self, account_id: str) -> Account:
        live = self._live.get(account_id)
        return codec.decode(self._stored[account_id]) if live is None else live.account

    def _require(self, account_id: str) -> _Live:
        live = self._touch(account_id)
        assert live is not None, "the account exists"
        return live

    # Catalog

    def apply_catalog(self, program: Program, arrival_ms: int) -> None:
        """A catalog record: from here on `program` applies. Every account is brought to this moment and evaluated."""
        if program.version == self.program.version:
            return
        self.advance_clock(arrival_ms)
        old, self.program = self.program, program
        before, after = old.catalog.definitions, program.catalog.definitions
        known = self.thresholds.percentiles
        self.thresholds = Thresholds(
            self.thresholds.at_ms, {name: known[name] for name in known if before.get(name) == after.get(name)}
        )
        for account_id in [*self._live, *self._stored]:
            live = self._require(account_id)
            account = live.account
            account.now = max(account.now, arrival_ms - GRACE_MS)
            live.working, found = switch(account_id, account, old, program, self.thresholds)
            self._transitions += found
            self._changed[account_id] = None
            self._schedule(account_id, account.next_at)

    # Erasure

    def erase_account(self, account_id: str) -> None:
        """Forget an account, and suppress its later events."""
        self.erased_accounts.add(account_id)
        self._live.pop(account_id, None)
        self._stored.pop(account_id, None)
        self._scheduled.pop(account_id, None)
        self._changed.pop(account_id, None)

    def erase_user(self, user: str) -> None:
        """Forget a user in every account and suppress their later events; evaluation follows with the next record."""
        self.erased_users.add(user)
        known = bounded_identity(user, Counts())
        for account_id in [*self._live, *self._stored]:
            account = self._read(account_id)
            if known in account.users or known in account.nps:
                live = self._require(account_id)
                account = live.account
                account.users.pop(known, None)
                account.nps.pop(known, None)
                live.working = Working(self.program, account, self.thresholds)
                self._changed[account_id] = None

    # State

    def __len__(self) -> int:
        return len(self._live) + len(self._stored)

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._live or account_id in self._stored

    def restore(self, account_id: str, stored: bytes | None) -> None:
        """Take over a stored account; None removes it.

        Raises:
            StateError: the bytes are of no version that can be read.
        """
        self._scheduled.pop(account_id, None)
        if stored is None:
            self._stored.pop(account_id, None)
            return
        self._stored[account_id] = stored
        self._schedule(account_id, codec.next_deadline(stored))

    def take_transitions(self) -> list[Transition]:
        """The transitions since the last call, in the order in which they were found."""
        taken, self._transitions = self._transitions, []
        return taken

    def take_changes(self) -> list[tuple[str, bytes]]:
        """The accounts that changed since the last call, encoded, in the order of their first change."""
        changes = [(account_id, codec.encode(self._live[account_id].account)) for account_id in self._changed]
        self._changed = {}
        while len(self._live) > LIVE_ACCOUNTS_MAX:
            account_id = next(iter(self._live))
            self._stored[account_id] = codec.encode(self._live.pop(account_id).account)
        return changes

    def take_reportable(self) -> list[tuple[str, Account, Working]]:
        """The changed accounts whose membership is due to be written: after a transition, and once a day if active.

        To be asked before `take_changes`, since it notes in the state what was written.
        """
        reportable = []
        for account_id in self._changed:
            live = self._live[account_id]
            self._as_of_itself(live)
            account, today = live.account, live.working.today
            if account.reported_sequence != account.sequence or (
                account.reported_day < today and live.working.mask & 1
            ):
                account.reported_sequence, account.reported_day = account.sequence, today
                reportable.append((account_id, account, live.working))
        return reportable

    def has_changes(self) -> bool:
        return bool(self._changed or self._transitions)

    def account(self, account_id: str) -> tuple[Account, Working] | None:
        """An account's state and working set, for those who read (membership records, explanations)."""
        live = self._touch(account_id)
        if live is None:
            return None
        self._as_of_itself(live)
        return live.account, live.working

    def _as_of_itself(self, live: _Live) -> None:
        """Bring the windows back to the account's own day: a look at the population may have taken them ahead."""
        live.working.roll(self.program.calendar.day_of(live.account.now))

    def _touch(self, account_id: str) -> _Live | None:
        live = self._live.get(account_id)
        if live is None:
            stored = self._stored.pop(account_id, None)
            if stored is None:
                return None
            account = codec.decode(stored)
            live = self._live[account_id] = _Live(account, Working(self.program, account, self.thresholds))
        if self.floor > live.account.floor:
            settle(live.account, self.floor)
        live.working.thresholds = self.thresholds
        return live


def _is_duplicate(account: Account, record: Record) -> bool:
    """Known while among the last taken and young enough; its age is counted on the arrival clock before this record."""
    taken = account.message_ids.get(record.message_hash)
    return taken is not None and account.arrival - taken <= MESSAGE_ID_AGE_MAX_MS


def _remember(account: Account, record: Record) -> None:
    ids, arrival = account.message_ids, account.arrival
    ids.pop(record.message_hash, None)
    ids[record.message_hash] = arrival
    if len(ids) > MESSAGE_IDS_MAX:
        del ids[next(iter(ids))]
    # Too old ones can never be known again, since the arrival clock only goes forward.
    while arrival - ids[oldest := next(iter(ids))] > MESSAGE_ID_AGE_MAX_MS:
        del ids[oldest]
