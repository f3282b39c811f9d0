"""A destination's plan, driven by hand: transitions, the clock, restarts, lists and silences."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.action import Reason
from schemas.playbook import Destination, Playbook
from schemas.timestamps import format_ms, parse_ms
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery, Source
from streams.notify.plan.destination import DestinationPlan, destination_plan
from streams.notify.plan.news import News, read
from streams.notify.plan.planner import NEVER_MS, Planner, RosterMember, RosterRequest
from streams.notify.plan.silence import Silence

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TURNS_MAX = 10_000


def ms(text: str) -> int:
    """`2026-03-02 09:00`, UTC."""
    found = parse_ms(text.replace(" ", "T") + ":00Z")
    assert found is not None
    return found


MONDAY_MS = ms("2026-03-02 09:00")


def playbook(plays: Iterable[Mapping[str, Any]], **fields: Any) -> Playbook:
    """Plays of the destination `team`, of `at_risk` in the words `words`, unless they say otherwise."""
    whole = []
    for index, one in enumerate(plays):
        play = {"id": f"play-{index}", "template": "words", "destination": "team"} | dict(one)
        if not {"segment", "segments", "group", "list"} & set(play):
            play["segment"] = "at_risk"
        whole.append(play)
    return Playbook.model_validate({"format": 1, "name": "test", "plays": whole} | fields)


def plan_of(*plays: Mapping[str, Any], book: Mapping[str, Any] | None = None, **destination: Any) -> DestinationPlan:
    where = Destination.model_validate({"id": "team", "type": "fake"} | destination)
    return destination_plan(playbook(plays, **(book or {})), where, max_age_h=24)


def transition(account: str, sequence: int, at_ms: int, **fields: Any) -> tuple[News, Source]:
    value = json.dumps(
        {
            "transition_id": f"{account}-{sequence}",
            "account_id": account,
            "segment": "at_risk",
            "direction": "entered",
            "group": None,
            "from_segment": None,
            "effective_at": format_ms(at_ms),
            "sequence": sequence,
            "trigger": "deadline",
            "evidence": {"values": {}},
        }
        | fields
    ).encode()
    return read(value), Source(0, sequence, at_ms, account.encode(), value)


@dataclass
class Scene:
    """`said`: every decision, in order."""

    plan: DestinationPlan
    now_ms: int = MONDAY_MS
    restarts: bool = False
    """After everything that happens, from the rows alone."""
    rosters: dict[str, list[RosterMember]] = field(default_factory=dict)
    said: list[Decision] = field(default_factory=list)
    asked: list[RosterRequest] = field(default_factory=list)
    rows: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.planner = Planner(self.plan)
        self._sequences: dict[str, int] = {}

    # -- what happens ------------------------------------------------------------------------------------------------

    def enters(self, account: str = "acme", segment: str = "at_risk", **fields: Any) -> list[Decision]:
        return self.news(account, segment=segment, **fields)

    def leaves(self, account: str = "acme", segment: str = "at_risk", **fields: Any) -> list[Decision]:
        return self.news(account, segment=segment, direction="exited", **fields)

    def moves(self, account: str, origin: str, segment: str) -> list[Decision]:
        return self.news(account, segment=segment, direction="moved", from_segment=origin, group="lifecycle")

    def news(
        self, account: str, *, ago_ms: int = 0, facts: Mapping[str, str] | None = None, **fields: Any
    ) -> list[Decision]:
        sequence = self._sequences[account] = self._sequences.get(account, 0) + 1
        news, source = transition(account, sequence, self.now_ms - ago_ms, **fields)
        return self.note(self.planner.take(news, source, facts or {}, self.now_ms))

    def silence(self, name: str = "s", hours: float = 1, **fields: Any) -> None:
        self.planner.silence(Silence(id=name, until_ms=self.now_ms + round(hours * HOUR_MS), **fields), self.now_ms)
        self.note([])

    def unsilence(self, name: str = "s") -> None:
        self.planner.unsilence(name)
        self.note([])

    def until(self, at_ms: int) -> list[Decision]:
        """Let time pass, with a look whenever the plan wants one."""
        found: list[Decision] = []
        for _ in range(TURNS_MAX):
            due_ms = max(self.planner.next_ms(), self.now_ms)
            if due_ms > at_ms or due_ms >= NEVER_MS:
                self.now_ms = max(self.now_ms, at_ms)
                return found
            self.now_ms = due_ms
            found += self.look()
        raise AssertionError("the plan is due for ever")

    def after(self, **parts: float) -> list[Decision]:
        """`after(hours=2)`."""
        units = {"seconds": SECOND_MS, "minutes": MINUTE_MS, "hours": HOUR_MS, "days": DAY_MS}
        return self.until(self.now_ms + round(sum(units[unit] * count for unit, count in parts.items())))

    def look(self) -> list[Decision]:
        """Once, at whatever time it is."""
        found = self.note(self.planner.due(self.now_ms))
        for request in self.planner.wants_roster(self.now_ms):
            self.asked.append(request)
            found += self.note(self.planner.give_roster(request, self.rosters.get(request.segment, []), self.now_ms))
        return found

    def note(self, made: list[Decision]) -> list[Decision]:
        self.said += made
        for key, row in self.planner.changes():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        if self.restarts:
            self.restart()
        return made

    def restart(self, plan: DestinationPlan | None = None) -> None:
        self.plan = plan or self.plan
        self.planner = Planner(self.plan)
        for key in sorted(self.rows, reverse=True):
            self.planner.restore(key, self.rows[key])

    # -- what came of it ---------------------------------------------------------------------------------------------

    @property
    def sent(self) -> list[Delivery]:
        return [one.delivery for one in self.said if one.opens]


def reasons(made: Iterable[Decision]) -> list[Reason]:
    return [one.reason for one in made]


def accounts(delivery: Delivery) -> list[str]:
    return [one.news.account_id for one in delivery.items]
