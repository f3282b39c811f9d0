"""What accounts are ranked by, from working sets that have the windows of the ranked definitions and no others.

A look at the population takes every account to one moment, most of them ahead of their own clock. So it leaves the
account's own working set alone and rolls a second, smaller one: a copy that is made when it is first asked for and
goes with the next record, for a copy may be rolled but sees nothing new.
"""

from streams.engine.account import Account
from streams.engine.operations import Live
from streams.engine.population import Values
from streams.engine.program import Program
from streams.engine.rules.compile import Ranked, compile_ranked
from streams.engine.rules.slots import Slots
from streams.engine.working import Working


class Ranking:
    """The ranked definitions of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes = [program.definition_nodes[name] for name in program.slots.ranked]
        self._cut_down = program.with_slots(Slots.of(self.nodes))
        slots, bits = self._cut_down.slots, dict(program.bits)
        self._ranked: Ranked = compile_ranked(self.nodes, slots, bits)
        self.moving: Ranked = compile_ranked([node for node in self.nodes if node.moves_with_time()], slots, bits)
        """The values of those that move with time alone, of a working set of `scratch_at`."""

    def values_at(self, live: Live, at_ms: int) -> Values:
        """What an account is ranked by, as of `at_ms`. Leaves its own windows alone."""
        return self._ranked(live.account, self.scratch_at(live, at_ms), at_ms, 0)

    def scratch_at(self, live: Live, at_ms: int) -> Working:
        """The smaller working set of an account as of `at_ms`."""
        account, scratch = live.account, live.scratch
        if scratch is None:
            scratch = live.scratch = live.working.ahead(account, self._cut_down)
        if scratch.counted:
            scratch.roll(self.program.calendar.day_of(max(account.now, at_ms)))
        return scratch

    def values_of(self, account: Account, at_ms: int) -> Values:
        """The same of an account that is decoded for this alone."""
        scratch = Working(self._cut_down, account, at=max(account.now, at_ms))
        return self._ranked(account, scratch, at_ms, 0)
