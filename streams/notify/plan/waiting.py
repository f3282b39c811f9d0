"""Messages that are not to be sent now, or not yet, and what they wait for: rows of the plan's state.

phase   waits for                                          then
DWELL   the entry to have lasted                           it is a message
STEP    the time of a further message of a sequence        it is a message, and the next one waits
QUIET   the end of quiet hours                             looked at again
ORDER   an earlier message about the same account          looked at again
GROUP   its group's time, a cron slot, or the next budget  told together with the others of the group
"""

from enum import StrEnum
from typing import Final

import msgspec

from schemas.transition import Direction
from streams.notify.plan.delivery import Facts, Source
from streams.notify.plan.news import News, read
from streams.notify.plan.route import Match


class Phase(StrEnum):
    DWELL = "dwell"
    STEP = "step"
    QUIET = "quiet"
    ORDER = "order"
    GROUP = "group"


HELD: Final = "held"
"""The group of what is over the budget."""
CRON: Final = "cron:"
"""Before a play's id: the group of what it gathers."""
BY: Final = "by:"
"""Before what its members have in common: a group of the destination's `group`."""


class Waiting(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One message, from when it was taken until it is told or not. Frozen: `again` makes it wait for something else."""

    seq: int
    """Its place among all that waits: what was taken first is told first."""
    phase: Phase
    due_ms: int
    play: str
    template: str
    account: str
    direction: Direction
    segment: str
    transition_id: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]
    facts: dict[str, str]
    mark: str = ""
    """What tells its delivery from others of the same transition and template."""
    step: int = 0
    """Which message of a sequence it is."""
    scheduled_at_ms: int | None = None
    exposed_ms: int = 0
    """When it counted as told; 0: it has not yet."""
    group: str = ""
    """In the phase GROUP, which."""

    @property
    def source(self) -> Source:
        return Source(
            self.partition, self.offset, self.timestamp_ms, self.key, self.value, tuple(map(tuple, self.headers))  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def match(self) -> Match:
        return Match(self.direction, self.segment)

    @property
    def ordered(self) -> bool:
        """Whether it is a message that later ones of its account must not overtake.

        What a play gathers for a certain time is none: it is a report, and may be days later.
        """
        if self.phase is Phase.GROUP:
            return not self.group.startswith(CRON)
        return self.phase in {Phase.QUIET, Phase.ORDER}

    def news(self) -> News:
        """As it was read when it came."""
        return read(self.value, announced=True)

    def again(self, phase: Phase, due_ms: int, group: str = "") -> "Waiting":
        return msgspec.structs.replace(self, phase=phase, due_ms=due_ms, group=group)

    def exposed(self, now_ms: int) -> "Waiting":
        return msgspec.structs.replace(self, exposed_ms=now_ms)


def first_message(
    seq: int, play: str, template: str, found: Match, news: News, source: Source, facts: Facts
) -> Waiting:  # fmt: skip
    """A message as it is taken."""
    assert source.value is not None
    return Waiting(
        seq, Phase.ORDER, 0, play, template, news.account_id, found.direction, found.segment, news.transition_id,
        source.partition, source.offset, source.timestamp_ms, source.key, source.value, list(source.headers),
        dict(facts),
    )  # fmt: skip
