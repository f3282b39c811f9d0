"""What happens to a membership if nothing happens: the account run ahead through its deadlines, without records.

Theory of operation. Without a record only time changes memberships, and only at known moments: the boundaries of
conditions, the edges of windows, the ends of waits. A view of its own takes the account to these moments one by one, by
the very decision that the engine will take when they come, until the segment is left. So the forecast is exactly what
will happen if no record comes; it cannot know new percentiles of all accounts, or another catalog.

It is cheap because it looks at one segment: the program is cut down to the unit that decides it and the units that this
one asks member() of (`Program.prospects`), which have few moments and few windows; only these windows are copied. After
92 days no window has an edge left, so the moments are few in any case; `STEPS_MAX` is for rules made to have many.
"""

from typing import Final

from schemas.timestamps import YEAR_9999_END_MS
from streams.engine.account import Account
from streams.engine.decision import decide
from streams.engine.found import Forecast
from streams.engine.program import Program, Prospect
from streams.engine.rules.view import View
from streams.engine.windows import Windows
from streams.engine.working import Working, counted_after, next_edge_at

STEPS_MAX: Final = 400


def forecast_of(segment: str, account: Account, working: Working, at_ms: int | None = None) -> Forecast | None:
    """How the account's present membership of `segment` ends; None if it does not, or not within `STEPS_MAX` moments.

    As of the account's clock, or of a later moment up to which nothing changes. Changes neither the account nor its
    working set.
    """
    bit = working.program.bits[segment]
    ahead = Ahead(bit, account, working, account.now if at_ms is None else at_ms)
    at = ahead.at
    while ahead.step():
        if not at.members >> bit & 1:
            return _left(ahead.prospect, at)
    return None


class Ahead:
    """What decides one segment, at one moment after another at which it may change by itself.

    `at` knows the windows of the cut-down program alone. Changes neither the account nor its working set.
    """

    __slots__ = ("_counted", "_members", "_next_at", "_steps", "_windows", "at", "program", "prospect")

    def __init__(self, bit: int, account: Account, working: Working, now: int) -> None:
        prospect = working.program.prospects[bit]
        program = prospect.program
        self.prospect = prospect
        self.program = program
        if working.today > program.calendar.day_of(now):  # a look at the population has brought it ahead
            working = Working(working.program, account, working.thresholds, now)
        self.at = View(account, working, now, working.members)
        self._counted = working.counted
        self._windows: Windows | None = None
        plan = program.slots.plan
        if plan.size:
            self._windows = Windows(plan, [], 0, working.windows, prospect.figures)
            self.at.values = self._windows.values
        self._members = working.members  # as far as `entered` and `exits` tell
        self._next_at = now
        self._steps = 0

    def step(self) -> bool:
        """Go to the next moment and decide, the present one first; False if there is none, or after `STEPS_MAX`."""
        if self._next_at > YEAR_9999_END_MS or self._steps >= STEPS_MAX:
            return False
        self._steps += 1
        at, program = self.at, self.program
        if at.members != self._members:
            _settle(program, at, self._members)
            self._members = at.members
        at.go_to(self._next_at)
        today = program.calendar.day_of(at.now)
        if today != at.today:
            self._roll(today)
        next_at = decide(program, at)
        self._next_at = min(next_at, next_edge_at(program, self._counted, today))
        return True

    def _roll(self, today: int) -> None:
        at = self.at
        if self._windows is not None:
            self._windows.roll(at.today, today)
        self._counted = counted_after(self._counted, today - at.today)
        at.today = today


def _left(prospect: Prospect, at: View) -> Forecast:
    entered = at.members & prospect.mask
    if not entered:
        return Forecast(at.now, "exited", None)
    return Forecast(at.now, "moved", prospect.program.ids[entered.bit_length() - 1])


def _settle(program: Program, at: View, before: int) -> None:
    """Take over the memberships: when they began and ended decides when waits end."""
    at.entered, at.exits = dict(at.entered), dict(at.exits)
    changed, members, now = before ^ at.members, at.members, at.now
    while changed:
        bit = changed & -changed
        changed ^= bit
        segment = program.ids[bit.bit_length() - 1]
        if members & bit:
            at.entered[segment] = now
        else:
            del at.entered[segment]
            at.exits[segment] = now
