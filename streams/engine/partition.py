"""All accounts of one partition of the log, and the records that concern them: the engine's one entrance.

Theory of operation. Accounts do not know of each other; a partition is a map of them plus a clock. An account that is
not touched stays as the bytes it was stored as. The first touch decodes it and builds its working set; beyond
`LIVE_ACCOUNTS_MAX` the longest decoded go back to bytes.

What concerns all accounts - the clock, percentiles, another catalog, a user to be forgotten - is an operation
(`operations`): the `tell_` methods note it, `work` brings so and so many accounts through what is pending, and whatever
touches an account brings that one through first. The methods of the same names without `tell_` do both at once.

Deadlines wait in a queue (`deadlines`). What is set there is never later than an account's true next deadline: one that
moves ahead is set anew when the old entry comes up, so that an event usually costs nothing here. The queue says whom an
`Advance` concerns; an account's own records fire its own deadlines. Other
operations take a walk over all accounts, which decodes each of them for the moment.

Transitions and changed accounts gather until they are taken; `take_changes` encodes each account once, however many
records it took.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.wire_event import WireEvent
from streams.engine import codec
from streams.engine.account import MINUS_INFINITY, Account
from streams.engine.apply import Counts, Noted, apply_record, bounded_identity, naming_of
from streams.engine.clock import fire_deadlines, horizon, settle
from streams.engine.columns import Looked
from streams.engine.deadlines import Deadlines
from streams.engine.found import Transition
from streams.engine.live import Live
from streams.engine.operations import (
    Advance,
    Basis,
    Forget,
    Govern,
    Operation,
    Pending,
    Rank,
)
from streams.engine.population import NO_THRESHOLDS, Thresholds, Values
from streams.engine.program import Program
from streams.engine.ranking import Keys, Ranking
from streams.engine.record import Record, record_of
from streams.engine.rules.linear import NEVER
from streams.engine.sleepers import Sleepers
from streams.engine.transitions import evaluate
from streams.engine.working import Working
from streams.limits import CLOCK_SKEW_NOTED_MS, GRACE_MS, MESSAGE_ID_AGE_MAX_MS, RETENTION_DAYS

LIVE_ACCOUNTS_MAX: Final = 50_000
OPERATIONS_PENDING_MAX: Final = 32
"""Beyond so many, what is pending is worked off at once: operations come by the day, clocks in a row are one."""


class Outcome(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a partition remembers beside its accounts: to be stored with them, and given to `resume`.

    `basis` is what applied before the first of the pending operations; `number` is that of the latest operation.
    """

    floor: int
    basis: Basis
    number: int = 0
    pending: Sequence[tuple[int, Operation]] = ()


class Partition:
    """The accounts of one partition under one program."""

    def __init__(self, program: Program, state_version: int = codec.VERSION) -> None:
        """`state_version`: in which accounts are stored."""
        self.program = program
        self._state_version = state_version
        self._outdated: dict[str, None] = {}  # accounts that were last stored in another version
        self.floor = MINUS_INFINITY  # the greatest clock record so far
        self.thresholds = NO_THRESHOLDS
        self.erased_accounts: set[str] = set()
        self.erased_users: set[str] = set()
        self._counts = Counts()
        self._applied = 0
        self._fired = 0
        self._live: dict[str, Live] = {}
        self._stored: dict[str, bytes] = {}
        self.stored_bytes = 0  # of all accounts, as they were stored last
        self._passing: set[str] = set()  # decoded for an operation alone: stored again once they are taken
        self._changed: dict[str, None] = {}
        self._transitions: list[Transition] = []
        self._deadlines = Deadlines()
        self._pending = Pending()
        self._rank_by(program)
        self._due_until = -NEVER  # entries of the queue up to here may concern a pending Advance
        self._aside: list[tuple[int, str]] = []  # such entries that do not: they come back with the next Advance
        self._walk: list[str] = []  # accounts that the other pending operations have yet to reach, last one first

    @property
    def counts(self) -> Counts:
        """What was noted so far. What every event counts is counted apart: an enum's hash costs more than all else."""
        counts = Counts(self._counts)
        counts[Noted.APPLIED] = self._applied
        if self._fired:
            counts[Noted.DEADLINE] = self._fired
        return counts

    # Records

    def apply(self, account_id: str, event: WireEvent, raw: bytes, arrival_ms: int) -> Outcome:
        """Take one event of the log."""
        record = record_of(event, raw, arrival_ms)
        if (self.erased_accounts or self.erased_users) and self._is_erased(account_id, record):
            self._counts[Noted.SUPPRESSED] += 1
            return Outcome.SUPPRESSED
        live = self._touch(account_id)
        if live is None:
            return self._apply_first(account_id, record)
        account = live.account
        if _is_duplicate(account, record):
            self._counts[Noted.DUPLICATE] += 1
            return Outcome.DUPLICATE
        account.arrival = max(account.arrival, record.a)
        self._not_ahead(account, record)
        until = horizon(record.t, account.arrival)
        if account.next_at <= until:
            self._transitions += fire_deadlines(account_id, account, live.working, until)
        outcome = self._apply_at(account_id, live, record, until)
        self._changed[account_id] = None
        return outcome

    def _apply_first(self, account_id: str, record: Record) -> Outcome:
        """The first record of an account, which exists only if the record is applied."""
        account = Account()
        account.arrival, account.floor, account.operation = record.a, self.floor, self._pending.number
        self._not_ahead(account, record)
        live = Live(account, Working(self.program, account, self.thresholds))
        outcome = self._apply_at(account_id, live, record, horizon(record.t, account.arrival))
        if account.first_seen < NEVER:
            self._live[account_id] = live
            self._sleepers.meet(account_id)
            self._changed[account_id] = None
        return outcome

    def _is_erased(self, account_id: str, record: Record) -> bool:
        return account_id in self.erased_accounts or record.user in self.erased_users

    def _not_ahead(self, account: Account, record: Record) -> None:
        """A producer's clock that is ahead is set to the arrival."""
        ahead = record.t - account.arrival
        if ahead > 0:
            record.t = account.arrival
            if ahead > CLOCK_SKEW_NOTED_MS:
                self._counts[Noted.CLOCK_AHEAD] += 1

    def _apply_at(self, account_id: str, live: Live, record: Record, until: int) -> Outcome:
        """Step 3: the clock moves to the horizon, the record is applied and the account evaluated."""
        account, working = live.account, live.working
        account.now = max(account.now, until)
        calendar = self.program.calendar
        today = calendar.day_of(account.now)
        working.roll(today)
        naming = naming_of(record, working, self._counts)
        late = naming.is_activity and calendar.day_of(record.t) <= today - RETENTION_DAYS
        account.message_ids.take(record.digest, account.arrival)
        if late:
            self._counts[Noted.TOO_LATE] += 1
        if not late or naming.is_fact:
            apply_record(account, working, record, naming, self._counts, too_late=late)
        if account.first_seen == NEVER:
            return Outcome.TOO_LATE
        # The next percentiles may give it the rank that the last ones gave, and yet not the one that it has now.
        account.ranks = None
        found = evaluate(account_id, account, working, (record.message_id, record.kind), record.a)
        if found:
            self._transitions += found
        if account.next_at < self._deadlines.moments.get(account_id, NEVER):
            self._deadlines.set(account_id, account.next_at)
        if late:
            return Outcome.TOO_LATE
        self._applied += 1
        return Outcome.APPLIED

    # Operations

    def tell_clock(self, at_ms: int) -> None:
        """A clock record: arrival time has reached `at_ms` for every account."""
        self.floor = max(self.floor, at_ms)
        self._tell(Advance(at_ms - GRACE_MS))

    def tell_thresholds(self, thresholds: Thresholds) -> None:
        """A thresholds record: from its moment on, accounts are compared with these percentiles."""
        if self.program.slots.ranked:  # else no rule asks for percentiles
            self._tell(Rank.of(thresholds, self._ranking))

    def tell_catalog(self, program: Program, arrival_ms: int, *, announce: bool = False) -> None:
        """A catalog record: from here on `program` applies. Every account is brought to this moment and evaluated."""
        if program.version != self.program.version:
            self.tell_clock(arrival_ms)
            self._tell(Govern(program, arrival_ms - GRACE_MS, announce))

    def tell_erased_user(self, user: str) -> None:
        """A user is forgotten in every account, and their later events are suppressed."""
        self.erased_users.add(user)
        self._tell(Forget(bounded_identity(user, Counts())))

    def advance_clock(self, at_ms: int) -> None:
        self.tell_clock(at_ms)
        self.work_off()

    def apply_thresholds(self, thresholds: Thresholds) -> None:
        self.tell_thresholds(thresholds)
        self.work_off()

    def apply_looked(self, at_ms: int, percentiles: list[list[Any]]) -> None:
        """As `apply_thresholds`, where the caller has just taken `look` as of that moment; `percentiles` are keys."""
        assert not self.is_behind(), "nobody has been touched since the look"
        ranking = self._ranking
        thresholds = Thresholds(at_ms, dict(zip(ranking.names, ranking.values(percentiles, at_ms), strict=True)))
        compared = self._sleepers.compare(thresholds, percentiles, self._live)
        self._tell(Rank.of(thresholds, ranking, compared), [*compared])
        self.work_off()
        self._sleepers.lull(self._live)

    def apply_catalog(self, program: Program, arrival_ms: int) -> None:
        self.tell_catalog(program, arrival_ms)
        self.work_off()

    def erase_user(self, user: str) -> None:
        self.tell_erased_user(user)
        self.work_off()

    def advance_to(self, until: int) -> None:
        """Fire every deadline of every account up to and including `until`."""
        self._tell(Advance(until))
        self.work_off()

    def _tell(self, operation: Operation, concerned: list[str] | None = None) -> None:
        """`concerned`: the accounts that it may change; None says all."""
        if len(self._pending.told) >= OPERATIONS_PENDING_MAX:
            self.work_off()
        if isinstance(operation, Advance):
            if not self._pending.told and self.next_deadline() > operation.until:
                return  # it concerns nobody
            self._due_until = max(self._due_until, operation.until)
            self._bring_back()
        else:
            if concerned is None:
                self._sleepers.wake_all()
            self._walk = self.account_ids() if concerned is None else concerned
            self._walk.reverse()
        basis = self._pending.tell(operation, Basis(self.program, self.thresholds))
        self.program, self.thresholds = basis.program, basis.thresholds
        if self._ranking.program is not self.program:
            self._rank_by(self.program)

    def _rank_by(self, program: Program) -> None:
        """From here on accounts are ranked by this program's definitions."""
        self._ranking = Ranking(program)
        self._sleepers = Sleepers(self._ranking)

    # Working off

    def is_behind(self) -> bool:
        """Whether an operation is pending."""
        return bool(self._pending.told)

    def work_off(self) -> None:
        """Bring all accounts through all that is pending."""
        while self.is_behind():
            self.work(len(self._deadlines) + len(self._walk) + 1)

    def work(self, accounts_max: int) -> list[str]:
        """Bring up to so many accounts through what is pending; return those that it changed."""
        changed: list[str] = []
        for _ in range(accounts_max):
            if self._deadlines.has_due(self._due_until):
                account_id = self._next_due()
            elif self._walk:
                account_id = self._walk.pop()
            else:
                self._caught_up()
                break
            if account_id is not None and self._pass(account_id):
                changed.append(account_id)
        return changed

    def _next_due(self) -> str | None:
        """Take the first entry out: the account whose deadline is due, or None if it was not the true one."""
        account_id = self._deadlines.take()
        if account_id is None:
            return None
        next_at = self._next_at(account_id)
        if next_at > self._due_until:
            self._deadlines.set(account_id, next_at)
            return None
        return account_id

    def _pass(self, account_id: str) -> bool:
        """Bring an account through what is pending, and leave it stored if it was and nothing changes."""
        live = self._live.get(account_id)
        if account_id in self._sleepers:
            self._sleepers.wake(account_id)
        if live is None:
            stored = self._stored.get(account_id)
            if stored is None:
                return False  # erased since
            account = self._decode(stored)
            if any(operation.concerns(account) for operation in self._pending.unseen(account.operation)):
                # Most are here for their next deadline: their windows are built as of then, not as of now and moved.
                live = self._decoded(account, max(account.now, min(account.next_at, self._due_until)))
        changed = live is not None and self._catch_up(account_id, live)
        if changed and account_id not in self._live:
            assert live is not None, "it was changed"
            live.stored_bytes = len(self._stored.pop(account_id))
            self._live[account_id] = live
            self._sleepers.meet(account_id)
            self._passing.add(account_id)
        self._reschedule(account_id)
        return changed

    def _reschedule(self, account_id: str) -> None:
        """An entry for an account that has lost its own, be it one that has to wait until nothing is pending."""
        if account_id in self._deadlines:
            return
        next_at = self._next_at(account_id)
        if next_at <= self._due_until:
            self._deadlines.mark(account_id, next_at)
            self._aside.append((next_at, account_id))
        else:
            self._deadlines.set(account_id, next_at)

    def _catch_up(self, account_id: str, live: Live) -> bool:
        """Bring an account through what it has not seen; whether that changed it."""
        account, changed = live.account, False
        for operation in self._pending.unseen(account.operation):
            found = operation.reach(account_id, live)
            if found is not None:
                changed = True
                self._transitions += found
                self._fired += isinstance(operation, Advance)
        account.operation = self._pending.number
        if changed:
            self._changed[account_id] = None
            if account.next_at < self._deadlines.moments.get(account_id, NEVER):
                self._deadlines.set(account_id, account.next_at)
        return changed

    def _caught_up(self) -> None:
        self._pending.clear()
        self._due_until = -NEVER
        self._bring_back()

    def _bring_back(self) -> None:
        """Entries that no pending Advance concerned may be of those that a new one does."""
        for at, account_id in self._aside:
            self._deadlines.enter(account_id, at)
        self._aside = []

    def next_deadline(self) -> int:
        """The earliest moment at which a deadline may be due, in ms; `NEVER` if there is none."""
        return self._deadlines.first()

    def pending_deadlines(self) -> int:
        """How many accounts have a deadline."""
        return len(self._deadlines)

    def overdue(self, at_ms: int, looked_at_max: int) -> tuple[int, int]:
        """How many deadlines up to `at_ms` have not fired, and the earliest of them; of so many entries at most."""
        found, earliest = 0, NEVER
        for account_id in self._deadlines.due(at_ms, looked_at_max):
            next_at = self._next_at(account_id)
            if next_at <= at_ms:
                found, earliest = found + 1, min(earliest, next_at)
        return found, earliest

    def _next_at(self, account_id: str) -> int:
        """An account's true next deadline."""
        live = self._live.get(account_id)
        return codec.next_deadline(self._stored[account_id]) if live is None else live.account.next_at

    # Population

    def account_ids(self) -> list[str]:
        return [*self._live, *self._stored]

    def look(self, at_ms: int) -> Looked:
        """Look at every account, as of `at_ms`."""
        awake = self._sleepers.roused(at_ms)
        accounts = self.account_ids() if awake is None else [*awake, *self._stored]
        return self._sleepers.look({one: self._keys_at(one, at_ms) for one in accounts})

    def _keys_at(self, account_id: str, at_ms: int) -> Keys | None:
        """The keys by which an account is ranked, as of `at_ms`; None if there is no such account."""
        live = self._live.get(account_id)
        if live is not None:
            return self._ranking.keys_at(live, at_ms)
        stored = self._stored.get(account_id)
        return None if stored is None else self._ranking.keys_of(codec.decode(stored), at_ms)

    def look_at(self, account_id: str, at_ms: int) -> Values | None:
        """What an account is ranked by, as of `at_ms`; None if there is no such account.

        Changes nothing: a stored account is decoded for the moment, for all of them decoded would be gigabytes.
        """
        live = self._live.get(account_id)
        if live is None:
            stored = self._stored.get(account_id)
            return None if stored is None else self._ranking.values_of(codec.decode(stored), at_ms)
        if live.working.program is not self.program:  # another catalog has yet to reach it
            return self._ranking.values_of(live.account, at_ms)
        return self._ranking.values_at(live, at_ms)

    # Erasure

    def erase_account(self, account_id: str) -> Sequence[str]:
        """Forget an account, and suppress its later events. What was pending had happened to it before.

        Returns the segments that it was in.
        """
        live = self._touch(account_id)
        self.erased_accounts.add(account_id)
        self.stored_bytes -= 0 if live is None else live.stored_bytes
        self._live.pop(account_id, None)
        self._stored.pop(account_id, None)
        self._deadlines.forget(account_id)
        self._changed.pop(account_id, None)
        self._outdated.pop(account_id, None)
        self._passing.discard(account_id)
        return [] if live is None else [*live.account.members]

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
        self._deadlines.forget(account_id)
        self.stored_bytes += len(stored or b"") - len(self._stored.get(account_id, b""))
        if stored is None:
            self._stored.pop(account_id, None)
            self._outdated.pop(account_id, None)
            return
        self._stored[account_id] = stored
        if codec.version_of(stored) != self._state_version:
            self._outdated[account_id] = None
        elif self._outdated:
            self._outdated.pop(account_id, None)
        self._deadlines.set(account_id, codec.next_deadline(stored))

    def standing(self) -> Standing:
        """What is to be stored beside the accounts."""
        pending = self._pending
        basis = pending.basis or Basis(self.program, self.thresholds)
        return Standing(self.floor, basis, pending.number, tuple(pending.told))

    def resume(self, standing: Standing) -> None:
        """Go on from what was stored, after all accounts have been restored."""
        self.floor = standing.floor
        self.program, self.thresholds = standing.basis.program, standing.basis.thresholds
        self._rank_by(self.program)
        for number, operation in standing.pending:
            self._pending.number = number - 1
            self._tell(operation)
        self._pending.number = standing.number

    def take_transitions(self) -> list[Transition]:
        """The transitions since the last call, in the order in which they were found."""
        taken, self._transitions = self._transitions, []
        return taken

    def take_changes(self, accounts: Iterable[str] | None = None) -> list[tuple[str, bytes]]:
        """The accounts that changed since the last call, encoded, in the order of their first change.

        `accounts`: of these alone, each of which has changed.
        """
        changes = []
        for account_id in [*self._changed] if accounts is None else accounts:
            del self._changed[account_id]
            stored = self._encode(self._live[account_id])
            changes.append((account_id, stored))
            if account_id in self._passing:
                self._passing.discard(account_id)
                self._put_away(account_id, stored)
        while accounts is None and len(self._live) > LIVE_ACCOUNTS_MAX:
            account_id, live = next(iter(self._live.items()))
            self._put_away(account_id, self._encode(live))
        if self._outdated:
            for account_id, _ in changes:
                self._outdated.pop(account_id, None)
        return changes

    def _put_away(self, account_id: str, stored: bytes) -> None:
        """Keep an account as bytes alone."""
        if account_id in self._sleepers:
            self._sleepers.wake(account_id)
        del self._live[account_id]
        self._stored[account_id] = stored

    def _encode(self, live: Live) -> bytes:
        """An account as it is to be stored."""
        stored = codec.encode(live.account, self._state_version)
        self.stored_bytes += len(stored) - live.stored_bytes
        live.stored_bytes = len(stored)
        return stored

    def is_outdated(self) -> bool:
        """Whether an account was last stored in another version."""
        return bool(self._outdated)

    def renew(self, accounts_max: int) -> list[tuple[str, bytes]]:
        """Store up to so many such accounts in this version, unless they have changed: then `take_changes` does."""
        renewed: list[tuple[str, bytes]] = []
        while self._outdated and len(renewed) < accounts_max:
            account_id, _ = self._outdated.popitem()
            if account_id in self._changed:
                continue
            live = self._live.get(account_id)
            if live is None:
                before = self._stored[account_id]
                stored = self._stored[account_id] = codec.encode(codec.decode(before), self._state_version)
                self.stored_bytes += len(stored) - len(before)
            else:
                stored = self._encode(live)
            renewed.append((account_id, stored))
        return renewed

    def take_reportable(self, accounts: Iterable[str] | None = None) -> list[tuple[str, Account, Working]]:
        """The changed accounts whose membership is due to be written: after a transition, and once a day if active.

        To be asked before `take_changes`, since it notes in the state what was written. `accounts` as there.
        """
        reportable = []
        for account_id in self._changed if accounts is None else accounts:
            live = self._live[account_id]
            self._as_of_itself(live)
            account, today = live.account, live.working.today
            if account.reported_sequence != account.sequence or (
                account.reported_day < today and account.activity.place_of(today) >= 0
            ):
                account.reported_sequence, account.reported_day = account.sequence, today
                reportable.append((account_id, account, live.working))
        return reportable

    def has_changes(self) -> bool:
        return bool(self._changed or self._transitions)

    def count_members(self) -> dict[str, int]:
        """How many accounts are in each segment. Decodes every account for the moment."""
        counted: dict[str, int] = {}
        for account_id in self.account_ids():
            live = self._live.get(account_id)
            account = codec.decode(self._stored[account_id]) if live is None else live.account
            for segment in account.members:
                counted[segment] = counted.get(segment, 0) + 1
        return counted

    def account(self, account_id: str) -> tuple[Account, Working] | None:
        """An account's state and working set, for those who read (membership records, explanations)."""
        live = self._touch(account_id)
        if live is None:
            return None
        self._as_of_itself(live)
        return live.account, live.working

    def _as_of_itself(self, live: Live) -> None:
        """Bring the windows back to the account's own day: a look at the population may have taken them ahead."""
        live.working.roll(live.working.program.calendar.day_of(live.account.now))

    def _touch(self, account_id: str) -> Live | None:
        live = self._live.get(account_id)
        if live is None:
            stored = self._stored.pop(account_id, None)
            if stored is None:
                return None
            live = self._live[account_id] = self._decoded(self._decode(stored))
            live.stored_bytes = len(stored)
            self._sleepers.meet(account_id)
        elif account_id in self._sleepers:
            self._sleepers.wake(account_id)
        live.scratch = None
        account = live.account
        if account.operation != self._pending.number:
            self._catch_up(account_id, live)
        if self.floor > account.floor:
            settle(account, self.floor)
        live.working.thresholds = self.thresholds
        return live

    def _decode(self, stored: bytes) -> Account:
        account = codec.decode(stored)
        if account.operation > self._pending.number:
            raise codec.StateError(
                f"an account has seen operation {account.operation}, its partition only {self._pending.number}: "
                "their rows are of different times or partitions; rebuild the state"
            )
        return account

    def _decoded(self, account: Account, at: int | None = None) -> Live:
        """A stored account under what applied after the last operation that it has seen."""
        program, thresholds = self.program, self.thresholds
        if self._pending.told:
            basis = self._pending.basis_of(account.operation, Basis(program, thresholds))
            program, thresholds = basis.program, basis.thresholds
        return Live(account, Working(program, account, thresholds, at))


def _is_duplicate(account: Account, record: Record) -> bool:
    """Known, and young enough; its age is counted on the arrival clock before this record."""
    taken = account.message_ids.taken_at(record.digest)
    return taken is not None and account.arrival - taken <= MESSAGE_ID_AGE_MAX_MS
