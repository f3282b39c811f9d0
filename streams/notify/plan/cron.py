"""When a cron expression comes next, on the clock of a zone.

A slot is an instant, found from the one before it; so a change of the clock neither loses nor doubles one. A time of
day that a spring night leaves out comes right after the gap, one that an autumn night shows twice comes once, the first
time; what runs every hour or minute runs by real time (the rules of Debian's cron, as `cronsim` has them).
"""

from datetime import tzinfo
from typing import Final

from cronsim import CronSim

from streams.notify.plan.quiet import at, ms_of

NEVER_MS: Final = 1 << 62


def next_slot_ms(expression: str, zone: tzinfo, after_ms: int) -> int:
    """The first slot after `after_ms`; NEVER_MS if there is none."""
    # Within the hour that is shown twice, cronsim begins with the first showing.
    slots = (ms_of(slot) for slot in CronSim(expression, at(after_ms, zone)))
    return next((slot_ms for slot_ms in slots if slot_ms > after_ms), NEVER_MS)
