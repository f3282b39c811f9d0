"""The plan of one destination: what happened, and time passing, in; decisions out. Pure: no clock, no Kafka."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from schemas.action import Reason
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery, Facts, Source, delivery_id
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.freshness import freshness
from streams.notify.plan.news import News
from streams.notify.plan.route import waits_for
from streams.notify.plan.silence import Silence

NEVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class RosterRequest:
    """A list is due: who is in `segment` now?"""

    play: str
    segment: str
    scheduled_at_ms: int


@dataclass(frozen=True, slots=True)
class RosterMember:
    """An account that is in the segment."""

    account_id: str
    entered_at_ms: int
    key_numbers: dict[str, object] = field(default_factory=dict, repr=False)
    facts: Facts = field(default_factory=dict, repr=False)
    group: str | None = None


class Planner:
    """Takes what happened in the order of the inbox, and is asked again when `next_ms` has come."""

    def __init__(self, destination: DestinationPlan) -> None:
        self._destination = destination

    def take(self, news: News, source: Source, facts: Facts, now_ms: int) -> list[Decision]:
        """What a transition leads to at once."""
        found: list[Decision] = []
        for one in self._destination.plays:
            play = one.play
            if not waits_for(play, news):
                continue
            known = delivery_id(play.destination, news.transition_id, play.template)
            delivery = Delivery(
                known, play.id, play.destination, play.template, now_ms, news, source, not_before_ms=now_ms, facts=facts
            )
            found.append(Decision(delivery, freshness(news, play, now_ms, self._destination.max_age_h)))
        return found

    def again(self, wanted: str, news: News, source: Source, facts: Facts, now_ms: int) -> list[Decision]:
        """The one delivery that an operator wants tried again, whatever the plan would say now; none: no play asks."""
        found = [one for one in self.take(news, source, facts, now_ms) if one.delivery.delivery_id == wanted]
        return [Decision(one.delivery, Reason.PLANNED) for one in found[:1]]

    def due(self, now_ms: int) -> list[Decision]:  # noqa: ARG002
        """What time passing leads to; a bounded share of it, so ask `next_ms` again."""
        return []

    def next_ms(self) -> int:
        """When to call `due` again; NEVER_MS: only after something happened."""
        return NEVER_MS

    def silence(self, silence: Silence, now_ms: int) -> None:
        """An operator silences something."""

    def unsilence(self, silence_id: str) -> None:
        """An operator ends a silence."""

    def wants_roster(self, now_ms: int) -> list[RosterRequest]:  # noqa: ARG002
        """Lists that are due, each named once; answer with `give_roster`, or `ask_again`."""
        return []

    def give_roster(
        self, request: RosterRequest, members: Iterable[RosterMember], now_ms: int
    ) -> list[Decision]:  # fmt: skip
        """The answer to a request."""
        raise NotImplementedError

    def ask_again(self, request: RosterRequest) -> None:
        """The answer could not be had: `wants_roster` shall name it again."""

    def changes(self) -> list[tuple[str, bytes | None]]:
        """Rows changed since the last call; None is a tombstone."""
        return []

    def restore(self, key: str, row: bytes) -> None:
        """Take back a row of `changes`, before anything else happens; in any order."""
