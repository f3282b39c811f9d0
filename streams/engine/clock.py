"""Event time: how an account's clock moves, and what fires on the way.

A record carries its own time `t` and its arrival `a`; the account a clock `now` and an arrival clock `arrival`.

    1. arrival = max(arrival, a);  t = min(t, arrival)
    2. horizon = max(t, arrival - grace); each deadline d with now < d <= horizon fires in order: now = d, evaluate
    3. now = max(now, horizon); apply the record; evaluate

Time is data here: nothing in the engine asks a clock. A record that arrives late moves neither clock; what it changes
is dated by `now`, for nothing is ever emitted for the past. The grace keeps a deadline from firing while records of
before it may still arrive: within it a late record is indistinguishable from one that came in order.

A clock record of the partition at `w` is step 1 with a = w and step 2 with w - grace for every account: accounts
without a due deadline need not be touched, they take the new arrival over when they next are (`settle`).
"""

from streams.engine.account import Account
from streams.engine.found import Transition
from streams.engine.transitions import evaluate
from streams.engine.working import Working
from streams.limits import GRACE_MS


def horizon(t: int, arrival: int) -> int:
    return max(t, arrival - GRACE_MS)


def settle(account: Account, floor: int) -> None:
    """Take over the partition's clock, if it has moved since the account was last touched."""
    if floor > account.floor:
        account.floor = floor
        account.arrival = max(account.arrival, floor)


def fire_deadlines(account_id: str, account: Account, working: Working, until: int) -> list[Transition]:
    """Fire all deadlines up to and including `until`, in order."""
    transitions: list[Transition] = []
    while account.next_at <= until:
        account.now = account.next_at
        transitions += evaluate(account_id, account, working, "deadline")
        assert account.next_at > account.now, "a deadline must lie ahead"
    return transitions
