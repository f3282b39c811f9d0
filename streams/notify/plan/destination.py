"""One destination as the plan sees it: its plays, compiled, and when and how often its readers want to be spoken to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from schemas.goal import Term, parse_goal
from schemas.playbook import ANY, TIMES_MAX, Destination, Grouping, Owner, Play, Playbook, Step
from schemas.schedule import Calendar, QuietHours, ZoneOf, zone
from schemas.transition import Direction
from streams.notify.plan.news import News
from streams.notify.plan.owner import ACCOUNT_ZONE_FACT, owner_zone
from streams.notify.plan.quiet import opens_ms
from streams.notify.plan.route import waits_for
from streams.notify.plan.throttle import DAY_MS

STANDARD_DIGEST: Final = "standard-digest"
STANDARD_SUMMARY: Final = "standard-summary"
"""Templates that are there in every playbook."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A further message of a play."""

    after_ms: int
    """After the first message."""
    step: Step


@dataclass(frozen=True, slots=True)
class PlayPlan:
    """A play, with what its goals stand for."""

    play: Play
    goal: tuple[Term, ...] = ()
    """Any of these transitions is the play's goal."""
    stops: tuple[Term, ...] = ()
    """Any of these ends its sequence; leaving the segment that began it is another matter."""

    occasions: tuple[Occasion, ...] = ()
    """Its further messages, each by itself, in order."""

    @property
    def mentions(self) -> frozenset[str]:
        """Segments it must know an account to be in or not, or to enter or leave; ANY for all."""
        play = self.play
        named = {segment for _, segment in (*self.goal, *self.stops)} | set(play.inhibited_by)
        named |= {step.holds for step in play.steps if isinstance(step.holds, str)}
        named |= {play.roster.segment} if play.roster is not None else set(play.segments)
        return frozenset(named)


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """Everything that planning for one destination depends on, apart from what happens."""

    id: str
    plays: tuple[PlayPlan, ...] = ()
    """Those that are enabled, in the playbook's order."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    calendar: Calendar = field(default_factory=Calendar)
    quiet_hours: QuietHours | None = None
    budget_per_day: int | None = None
    summary_template: str = STANDARD_SUMMARY
    group: Grouping | None = None
    holdout_percent: float = 0.0
    salt: str = ""
    max_age_h: float | None = None
    """Older news is not told unless a play says otherwise."""

    def play(self, name: str) -> PlayPlan | None:
        return next((one for one in self.plays if one.play.id == name), None)

    def opens_ms(self, owner: Owner | None, facts: Mapping[str, str], now_ms: int) -> int:
        """When a message about an account may be sent: `now_ms` itself, or the end of its readers' quiet hours."""
        hours = self.quiet_hours
        if hours is None:
            return now_ms
        name = None
        if hours.zone is ZoneOf.ACCOUNT:
            name = facts.get(ACCOUNT_ZONE_FACT)
        elif hours.zone is ZoneOf.OWNER:
            name = owner_zone(owner, facts)
        own = None if name is None else zone(name)
        return opens_ms(hours, self.calendar, own or self.zone, now_ms)

    @property
    def remembers_ms(self) -> int:
        """How long it matters when an account was told of a segment."""
        return round(max((one.play.cooldown_days or 0 for one in self.plays), default=0) * DAY_MS)

    def wants(self, news: News) -> bool:
        """Whether any play must hear of it: as its trigger, condition, inhibitor, goal or stop."""
        touched = {news.segment, news.from_segment} - {None}
        return any(
            waits_for(one.play, news) or ANY in one.mentions or touched & one.mentions
            for one in self.plays
        )  # fmt: skip


def destination_plan(playbook: Playbook, destination: Destination, max_age_h: float | None = None) -> DestinationPlan:
    """Compile one destination of a playbook that has been checked."""
    found = zone(destination.timezone or playbook.timezone)
    assert found is not None
    return DestinationPlan(
        id=destination.id,
        plays=tuple(
            play_plan(playbook, play) for play in playbook.plays if play.enabled and play.destination == destination.id
        ),
        zone=found,
        calendar=playbook.calendar,
        quiet_hours=destination.quiet_hours,
        budget_per_day=destination.budget_per_day,
        summary_template=destination.summary_template or STANDARD_SUMMARY,
        group=destination.group,
        holdout_percent=playbook.holdout_percent,
        salt=playbook.salt,
        max_age_h=max_age_h,
    )


def play_plan(playbook: Playbook, play: Play) -> PlayPlan:
    goal = playbook.goal_terms(play)
    stops: list[Term] = []
    if play.stop_on is not None:
        stops += [(Direction.ENTERED, segment) for segment in play.stop_on.enters]
        if play.stop_on.goal is True:
            stops += goal
        elif isinstance(play.stop_on.goal, str):
            stops += parse_goal(playbook.goals[play.stop_on.goal])
    return PlayPlan(play, goal, tuple(stops), tuple(_occasions(play)))


def _occasions(play: Play) -> Iterator[Occasion]:
    after_days = 0.0
    for step in play.steps:
        for _ in range(1 if step.every_days is None else step.times or TIMES_MAX):
            after_days = step.after_days or after_days + (step.every_days or 0)
            yield Occasion(round(after_days * DAY_MS), step)
