"""What concerns every account at once, and how it reaches them one by one.

Theory of operation. A clock, a thresholds or a catalog record, and the erasure of a user, change all accounts at one
place of the log. To walk a million of them there would hold up everything behind it for a minute and more. So such an
*operation* is told and worked off:

    told         it gets a number and waits with those before it; what applies to new accounts changes at once
    worked off   each account is brought through what it has not seen, in order: when anything touches it, before that
                 happens, and all others in slices in between

`Account.operation` is the number of the last operation that an account was brought through. An account does not know of
the others, and nothing reads it without bringing it through what is pending; so when it is reached shows in nothing but
the moment at which its transitions are written. An operation that changes nothing in an account leaves the number that
is stored as it is: to be brought through it again, after a restart, changes nothing either.

What is pending is stored with the partition, as the basis before the first of the pending operations and the operations
themselves: a restart works off the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.engine.account import Account
from streams.engine.clock import fire_deadlines
from streams.engine.found import Transition
from streams.engine.live import Live
from streams.engine.population import Ranks, Thresholds, cuts_of, ranks_of
from streams.engine.program import Program
from streams.engine.ranking import Ranking
from streams.engine.switch import switch
from streams.engine.transitions import evaluate
from streams.engine.working import Working

Compared = tuple[Ranks, bool]
"""The ranks of an account by new percentiles, and whether those before them give the account the same as of then."""
_NOBODY: Final[Mapping[str, Compared]] = {}


@dataclass(frozen=True, slots=True)
class Basis:
    """What applies to all accounts."""

    program: Program
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Advance:
    """Time has passed: every deadline up to and including `until` fires."""

    until: int

    def after(self, basis: Basis) -> Basis:
        return basis

    def concerns(self, account: Account) -> bool:
        return account.next_at <= self.until

    def reach(self, account_id: str, live: Live) -> list[Transition] | None:
        if live.account.next_at > self.until:
            return None
        return fire_deadlines(account_id, live.account, live.working, self.until)


@dataclass(frozen=True, slots=True)
class Rank:
    """From the moment of these percentiles on, accounts are compared with them.

    Only accounts whose rank it changes are brought to that moment and evaluated. `compared` is what is known of some by
    a look that has just been taken.
    """

    thresholds: Thresholds
    ranking: Ranking = field(compare=False)
    cuts: list[list[Any]]
    compared: Mapping[str, Compared] = field(compare=False)

    @staticmethod
    def of(thresholds: Thresholds, ranking: Ranking, compared: Mapping[str, Compared] = _NOBODY) -> "Rank":
        return Rank(thresholds, ranking, cuts_of(thresholds, ranking.program.slots.ranked), compared)

    def after(self, basis: Basis) -> Basis:
        return Basis(basis.program, self.thresholds)

    def concerns(self, account: Account) -> bool:
        """Percentiles move few, and to see whom takes less than a whole working set."""
        return ranks_of(self.ranking.values_of(account, self.thresholds.at_ms), self.cuts) != account.ranks

    def reach(self, account_id: str, live: Live) -> list[Transition] | None:
        account, working, at_ms = live.account, live.working, self.thresholds.at_ms
        known = self.compared.get(account_id)
        ranks = ranks_of(self.ranking.values_at(live, at_ms), self.cuts) if known is None else known[0]
        if ranks == account.ranks:
            working.thresholds = self.thresholds
            return None
        found = fire_deadlines(account_id, account, working, at_ms)
        account.ranks = ranks
        working.thresholds = self.thresholds
        behind, account.now = account.now < at_ms, max(account.now, at_ms)
        if known is not None and known[1] and (self.ranking.is_stepwise or not behind):
            return found  # since it was evaluated last no deadline has come, and every rule sees the same
        return found + evaluate(account_id, account, working, "thresholds")


@dataclass(frozen=True, slots=True)
class Govern:
    """From here on another catalog applies. Every account is brought to `at_ms` and evaluated.

    `announce`: its transitions are to be told to people.
    """

    program: Program
    at_ms: int
    announce: bool

    def after(self, basis: Basis) -> Basis:
        """Percentiles of what is still defined in the same way stay."""
        before, after = basis.program.catalog.definitions, self.program.catalog.definitions
        known = basis.thresholds.percentiles
        kept = {name: known[name] for name in known if before.get(name) == after.get(name)}
        return Basis(self.program, Thresholds(basis.thresholds.at_ms, kept))

    def concerns(self, account: Account) -> bool:  # noqa: ARG002 - all
        return True

    def reach(self, account_id: str, live: Live) -> list[Transition] | None:
        account, old = live.account, live.working
        account.now = max(account.now, self.at_ms)
        thresholds = self.after(Basis(old.program, old.thresholds)).thresholds
        live.scratch = None
        live.working, found = switch(account_id, account, old.program, self.program, thresholds)
        for one in found:
            one.announced = self.announce
        return found


@dataclass(frozen=True, slots=True)
class Forget:
    """A user is forgotten; evaluation follows with the account's next record or deadline."""

    user: str

    def after(self, basis: Basis) -> Basis:
        return basis

    def concerns(self, account: Account) -> bool:
        return self.user in account.users or self.user in account.nps

    def reach(self, account_id: str, live: Live) -> list[Transition] | None:  # noqa: ARG002
        account, working = live.account, live.working
        if not self.concerns(account):
            return None
        account.users.pop(self.user, None)
        account.nps.pop(self.user, None)
        live.scratch = None
        live.working = Working(working.program, account, working.thresholds)
        return []


Operation = Advance | Rank | Govern | Forget
"""`after`: what applies from here on. `concerns`: whether it may change an account; whom it does not concern need not
be reached. `reach`: bring an account through; None if that changed nothing, else its transitions."""


class Pending:
    """The operations that have not reached all accounts, in order, each with its number."""

    def __init__(self) -> None:
        self.number = 0  # of the latest operation
        self.told: list[tuple[int, Operation]] = []
        self.basis: Basis | None = None  # before the first of them

    def tell(self, operation: Operation, basis: Basis) -> Basis:
        """Add an operation; `basis` is what applies before it. Returns what applies from here on."""
        self.number += 1
        if not self.told:
            self.basis = basis
        if self.told and _is_covered(self.told[-1][1], operation):
            self.told.pop()  # whoever is between the two saw the first
        self.told.append((self.number, operation))
        return operation.after(basis)

    def unseen(self, seen: int) -> list[Operation]:
        """The operations after number `seen`."""
        return [operation for number, operation in self.told if number > seen]

    def basis_of(self, seen: int, present: Basis) -> Basis:
        """What applied after the operation of number `seen`; `present` is what applies now."""
        basis = self.basis or present
        for number, operation in self.told:
            if number <= seen:
                basis = operation.after(basis)
        return basis

    def clear(self) -> None:
        """All accounts were reached."""
        self.told, self.basis = [], None


def _is_covered(first: Operation, second: Operation) -> bool:
    """Time that passes in two steps passes as in one."""
    return isinstance(first, Advance) and isinstance(second, Advance) and first.until <= second.until
