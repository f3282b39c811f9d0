"""One decision: which segments an account is in at a moment, given those it was in.

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

from streams.engine.program import Program, Stratum
from streams.engine.rules.linear import NEVER
from streams.engine.rules.view import View


def decide(program: Program, at: View) -> int:
    """Bring the view's members to its moment, as bits; return when they may change next without a record or a new day.

    Changes nothing else; `entered` and `exits` say when waits end.
    """
    next_at = NEVER
    for stratum in program.strata:
        when, exits, flips_at = stratum.judge.judge(at)
        members, mask = at.members, stratum.mask
        present = members & mask
        target = (present | when) & ~exits & stratum.singles
        for group in stratum.groups:
            holding = (when | present & program.has_exit) & ~exits & group
            target |= holding & -holding
        if target != present:
            target, wait_at = _with_waits(at, program, stratum, present, target, when, exits)
            next_at = min(next_at, wait_at)
            at.members = members & ~mask | target
        next_at = min(next_at, flips_at)
    return next_at


def _with_waits(
    at: View, program: Program, stratum: Stratum, present: int, target: int, when: int, exits: int
) -> tuple[int, int]:
    """The target after dwell and cooldown, and the end of the earliest wait."""
    wait_at = NEVER
    changed = (present ^ target) & stratum.singles
    while changed:
        bit = changed & -changed
        changed ^= bit
        until = _leave_at(at, program, bit) if present & bit else _enter_at(at, program, bit)
        if until > at.now:
            target ^= bit
            wait_at = min(wait_at, until)
    for group in stratum.groups:
        if (present ^ target) & group:
            member, until = _group_member(at, program, present & group, when, exits, group)
            target = target & ~group | member
            wait_at = min(wait_at, until)
    return target, wait_at


def _group_member(at: View, program: Program, present: int, when: int, exits: int, mask: int) -> tuple[int, int]:
    if present:
        until = _leave_at(at, program, present)
        if until > at.now:
            return present, until
    wait_at = NEVER
    holding = (when | present & program.has_exit) & ~exits & mask
    while holding:
        bit = holding & -holding
        until = at.now if bit == present else _enter_at(at, program, bit)
        if until <= at.now:
            return bit, wait_at
        wait_at = min(wait_at, until)
        holding ^= bit
    return 0, wait_at


def _leave_at(at: View, program: Program, bit: int) -> int:
    """The first moment at which a member may leave."""
    index = bit.bit_length() - 1
    return at.entered[program.ids[index]] + program.dwell_ms[index]


def _enter_at(at: View, program: Program, bit: int) -> int:
    """The first moment at which a former member may enter again."""
    index = bit.bit_length() - 1
    cooldown_ms = program.cooldown_ms[index]
    last_exit = at.exits.get(program.ids[index]) if cooldown_ms else None
    return -NEVER if last_exit is None else last_exit + cooldown_ms
