"""One decision: which segments an account is in at `now`, given those it was in.

    present member, with exit_when     stays until exit_when holds
    present member, without            stays while `when` holds
    no member                          enters if `when` holds and exit_when does not
    leaving within min_dwell           waits until entered_at + dwell, and is dropped if it is not due then
    entering within cooldown           waits until last exit + cooldown; in a group the next one in order has its turn
    group                              the first in order that holds or may enter; a move is one transition

Steady state is a comparison of bit masks; dwell and cooldown are looked at only where it says that something changes.
A decision also says when to come again: the next boundary of a condition, or end of a wait; window edges are the
caller's. Deciding twice at the same moment changes nothing, so a decision too many is never wrong.
"""

from streams.engine.account import Account
from streams.engine.program import Program, Stratum
from streams.engine.rules.linear import NEVER
from streams.engine.working import Working


def decide(account: Account, working: Working) -> tuple[int, int]:
    """The members at `account.now`, as bits, and when they may change next without a record or a new day.

    Changes nothing; `account.members` and `account.exits` say when waits end.
    """
    program, now = working.program, account.now
    members, next_at = working.members, NEVER
    for stratum in program.strata:
        when, exits, flips_at = stratum.decide(account, working, now, members)
        present = members & stratum.mask
        target = (present | when) & ~exits & stratum.singles
        for unit in stratum.groups:
            holding = (when | present & program.has_exit) & ~exits & unit.mask
            target |= holding & -holding
        if target != present:
            target, wait_at = _with_waits(account, program, stratum, present, target, when, exits)
            next_at = min(next_at, wait_at)
            members = members & ~stratum.mask | target
        next_at = min(next_at, flips_at)
    return members, next_at


def _with_waits(
    account: Account, program: Program, stratum: Stratum, present: int, target: int, when: int, exits: int
) -> tuple[int, int]:
    """The target after dwell and cooldown, and the end of the earliest wait."""
    wait_at = NEVER
    changed = (present ^ target) & stratum.singles
    while changed:
        bit = changed & -changed
        changed ^= bit
        until = _leave_at(account, program, bit) if present & bit else _enter_at(account, program, bit)
        if until > account.now:
            target ^= bit
            wait_at = min(wait_at, until)
    for unit in stratum.groups:
        if (present ^ target) & unit.mask:
            member, until = _group_member(account, program, present & unit.mask, when, exits, unit.mask)
            target = target & ~unit.mask | member
            wait_at = min(wait_at, until)
    return target, wait_at


def _group_member(
    account: Account, program: Program, present: int, when: int, exits: int, mask: int
) -> tuple[int, int]:
    if present:
        until = _leave_at(account, program, present)
        if until > account.now:
            return present, until
    wait_at = NEVER
    holding = (when | present & program.has_exit) & ~exits & mask
    while holding:
        bit = holding & -holding
        until = account.now if bit == present else _enter_at(account, program, bit)
        if until <= account.now:
            return bit, wait_at
        wait_at = min(wait_at, until)
        holding ^= bit
    return 0, wait_at


def _leave_at(account: Account, program: Program, bit: int) -> int:
    """The first moment at which a member may leave."""
    index = bit.bit_length() - 1
    return account.members[program.ids[index]] + program.dwell_ms[index]


def _enter_at(account: Account, program: Program, bit: int) -> int:
    """The first moment at which a former member may enter again."""
    index = bit.bit_length() - 1
    cooldown_ms = program.cooldown_ms[index]
    last_exit = account.exits.get(program.ids[index]) if cooldown_ms else None
    return -NEVER if last_exit is None else last_exit + cooldown_ms
