"""What happens to a membership if nothing happens: the account run ahead through its deadlines, without records.

Theory of operation. Without a record only time changes memberships, and only at known moments: the boundaries of
conditions, the edges of windows, the ends of waits. A scratch copy of the account takes these moments one by one, by
the very decision that the engine will take when they come, until the segment is left. So the forecast is exactly what
will happen if no record comes; it cannot know new percentiles of all accounts, or another catalog.

It is cheap because it looks at one segment: the program is cut down to the unit that decides it and the units that this
one asks member() of (`Program.prospects`), which have few moments and few windows. After 92 days no window has an edge
left, so the moments are few in any case; `STEPS_MAX` is for rules made to have many.
"""

from collections.abc import Iterator
from typing import Final

from schemas.timestamps import YEAR_9999_END_MS
from streams.engine.account import Account
from streams.engine.decision import decide
from streams.engine.found import Forecast
from streams.engine.working import Working

STEPS_MAX: Final = 400


def forecast_of(segment: str, account: Account, working: Working) -> Forecast | None:
    """How the account's present membership of `segment` ends; None if it does not, or not within `STEPS_MAX` moments.

    Changes neither the account nor its working set.
    """
    bit = working.program.bits[segment]
    for scratch, ahead in run_ahead(segment, account, working):
        if not ahead.members >> bit & 1:
            return _left(scratch, ahead, bit)
    return None


def run_ahead(segment: str, account: Account, working: Working) -> Iterator[tuple[Account, Working]]:
    """What decides `segment`, at the account's `now` and at every later moment at which it may change by itself.

    Yields the same scratch copies each time, which know the windows of the cut-down program alone; at most `STEPS_MAX`
    times. Changes neither the account nor its working set.
    """
    program = working.program.prospects[working.program.bits[segment]]
    scratch = account.scratch()
    ahead = working.ahead(scratch, program)
    calendar = program.calendar
    for _ in range(STEPS_MAX):
        ahead.roll(calendar.day_of(scratch.now))
        members, next_at = decide(scratch, ahead)
        if members != ahead.members:
            _settle(scratch, ahead, members)
        yield scratch, ahead
        next_at = min(next_at, ahead.next_edge_at())
        if next_at > YEAR_9999_END_MS:
            return
        scratch.now = next_at


def _left(account: Account, working: Working, bit: int) -> Forecast:
    program = working.program
    unit = next(unit for unit in program.units if unit.mask >> bit & 1)
    entered = working.members & unit.mask
    if not entered:
        return Forecast(account.now, "exited", None)
    return Forecast(account.now, "moved", program.ids[entered.bit_length() - 1])


def _settle(account: Account, working: Working, members: int) -> None:
    """Take over the memberships: when they began and ended decides when waits end."""
    changed, now = members ^ working.members, account.now
    working.members = members
    ids = working.program.ids
    while changed:
        bit = changed & -changed
        changed ^= bit
        segment = ids[bit.bit_length() - 1]
        if members & bit:
            account.members[segment] = now
        else:
            del account.members[segment]
            account.exits[segment] = now
