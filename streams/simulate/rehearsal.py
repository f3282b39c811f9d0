"""What playbooks would have sent: transitions through the notifier's own plan, in simulated time.

Theory of operation. The plan of a destination is pure: it is told what happened and what time it is. Here a course of
transitions, in the order of time, takes the place of the log, and each becomes known the moment it is effective. Before
each, every destination is asked for what has become due in between, at the very moment at which it asked to be asked:
quiet hours end, groups are told, steps come up. Lists ask who is in a segment; that is known from the transitions that
went by (the sort keys are not, for they stand in the engine's state: lists come in the order of entry).

Each destination has its figures twice. *Before*: the same plays with every message told alone and at once, which is
what a tool without cooldowns, inhibition, grouping, quiet hours and budgets would send. *After*: what the plan opens.
What it does not send, or not at once, is counted with its reason. Nothing fails here: every message is delivered.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from schemas.action import ActionOutcome, Reason
from schemas.playbook import Play
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Source
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.news import News
from streams.notify.plan.planner import Planner
from streams.notify.plan.roster import RosterMember
from streams.notify.plan.route import left
from streams.simulate.course import DAY_MS

TURNS_MAX: Final = 100_000
"""So often a destination is asked between two transitions; a plan that is due for ever is a fault of ours."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A transition and the record that it would have come in."""

    news: News
    source: Source


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is reported, to the end; what came before it is planned all the same, for it has consequences."""

    since_ms: int
    until_ms: int

    def __contains__(self, at_ms: object) -> bool:
        return isinstance(at_ms, int) and self.since_ms <= at_ms <= self.until_ms


@dataclass(slots=True)
class Times:
    """When messages went out; days and hours are those of the zone."""

    zone: tzinfo
    at_ms: list[int] = field(default_factory=list)

    @property
    def messages(self) -> int:
        return len(self.at_ms)

    @property
    def by_day(self) -> Counter[str]:
        return Counter(f"{wall:%Y-%m-%d}" for wall in self._walls())

    @property
    def by_hour(self) -> Counter[str]:
        return Counter(f"{wall:%Y-%m-%d %H}:00" for wall in self._walls())

    def busiest_day(self) -> tuple[str, int]:
        return _most(self.by_day)

    def busiest_hour(self) -> tuple[str, int]:
        return _most(self.by_hour)

    def _walls(self) -> Iterator[datetime]:
        return (datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(self.zone) for at_ms in self.at_ms)


@dataclass(slots=True)
class Figures:
    """Of one destination. `told`: of the messages after, all the things they tell of; `suppressed`: not told at all."""

    destination: str
    before: Times
    after: Times
    told: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    """Of the messages after, like what follows."""
    by_play: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[Reason] = field(default_factory=Counter)
    deferred: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    window: Window
    transitions: int
    """In the window."""
    destinations: tuple[Figures, ...]

    @property
    def days(self) -> float:
        return max((self.window.until_ms - self.window.since_ms) / DAY_MS, 1.0)


def rehearse(plans: Sequence[DestinationPlan], sights: Iterable[Sight], window: Window) -> Rehearsal:
    """Take everything up to the end of the window, in order of time."""
    figures = [Figures(plan.id, Times(plan.zone), Times(plan.zone)) for plan in plans]
    stands = [
        stand
        for plan, found in zip(plans, figures, strict=True)
        for stand in (_Stand(plan, window, found.after, found), _Stand(bare(plan), window, found.before, None))
    ]
    return Rehearsal(window, _run(stands, sights, window), tuple(figures))


def messages(plans: Sequence[DestinationPlan], sights: Iterable[Sight], window: Window) -> list[Times]:
    """Only when messages go out, as the plans say."""
    found = [Times(plan.zone) for plan in plans]
    _run([_Stand(plan, window, times, None) for plan, times in zip(plans, found, strict=True)], sights, window)
    return found


def _run(stands: "Sequence[_Stand]", sights: Iterable[Sight], window: Window) -> int:
    """Returns how many transitions the window has."""
    members = _Members()
    transitions = 0
    for sight in sights:
        at_ms = sight.news.effective_at_ms
        if at_ms > window.until_ms:
            break
        for stand in stands:
            stand.advance(at_ms, members)
        members.take(sight.news)
        transitions += at_ms in window
        for stand in stands:
            stand.take(sight, at_ms)
    for stand in stands:
        stand.advance(window.until_ms, members)
    return transitions


def bare(plan: DestinationPlan) -> DestinationPlan:
    """The same plays without anything that holds a message back or tells several together; lists remain lists."""
    plays = tuple(replace(one, play=_bare_play(one.play)) for one in plan.plays)
    return replace(plan, plays=plays, quiet_hours=None, budget_per_day=None, group=None)


def _bare_play(play: Play) -> Play:
    gathers = play.cron is not None and play.roster is None
    changed: dict[str, object] = {"cooldown_days": None, "reentry": None, "inhibited_by": ()}
    return play.model_copy(update=changed | ({"on": None} if gathers else {}))


class _Members:
    """Who is in which segment, as far as the transitions say."""

    def __init__(self) -> None:
        self._in: dict[str, dict[str, RosterMember]] = defaultdict(dict)

    def take(self, news: News) -> None:
        gone = left(news)
        if gone is not None:
            self._in[gone].pop(news.account_id, None)
        if news.segment != gone:
            member = RosterMember(news.account_id, news.effective_at_ms, group=news.group)
            self._in[news.segment][news.account_id] = member

    def of(self, segment: str) -> list[RosterMember]:
        return list(self._in[segment].values())


class _Stand:
    """One plan, when its messages went out, and what else became of them if that is of interest."""

    def __init__(self, plan: DestinationPlan, window: Window, times: Times, figures: Figures | None) -> None:
        self._plan = plan
        self._window = window
        self._times = times
        self._figures = figures
        self._planner = Planner(plan)
        self._now_ms: int | None = None

    def take(self, sight: Sight, now_ms: int) -> None:
        self._now_ms = now_ms
        if self._plan.wants(sight.news):
            self._count(self._planner.take(sight.news, sight.source, {}, now_ms), now_ms)
            self._planner.changes()

    def advance(self, until_ms: int, members: _Members) -> None:
        """Everything that becomes due up to then, each at its own time; what is overdue, at once."""
        self._now_ms = until_ms if self._now_ms is None else self._now_ms
        for _ in range(TURNS_MAX):
            due_ms = max(self._planner.next_ms(), self._now_ms)
            if due_ms > until_ms:
                self._now_ms = until_ms
                return
            self._now_ms = due_ms
            self._count(self._planner.due(due_ms), due_ms)
            for request in self._planner.wants_roster(due_ms):
                found = members.of(request.segment)
                self._count(self._planner.give_roster(request, found, due_ms), due_ms)
            self._planner.changes()
        raise AssertionError(f"the plan of {self._plan.id} is due for ever at {due_ms}")

    def _count(self, decisions: Iterable[Decision], now_ms: int) -> None:
        if now_ms not in self._window:
            return
        for decision in decisions:
            if decision.opens:
                self._times.at_ms.append(max(now_ms, decision.delivery.not_before_ms))
            if self._figures is not None:
                _note(decision, self._figures)


def _note(decision: Decision, figures: Figures) -> None:
    delivery = decision.delivery
    match decision.outcome:
        case None:
            figures.told += len(delivery.items) + delivery.more
            figures.by_kind[delivery.kind.value] += 1
            figures.by_play[delivery.play] += 1
        case ActionOutcome.DEFERRED:
            figures.deferred[decision.reason] += 1
        case ActionOutcome.SUPPRESSED:
            figures.suppressed[decision.reason] += 1
        case _:
            pass  # an exposure is no message


def _most(counted: Counter[str]) -> tuple[str, int]:
    """The greatest, and of several the first."""
    return max(sorted(counted.items()), key=lambda entry: entry[1], default=("", 0))
