"""The plan of a destination against a simple model: whatever happens, in whatever order, with restarts in between.

The model knows where accounts are, what time it is and what the destination asks for; it knows nothing of how the plan
works. It hears every decision, and holds the plan to what people rely on: nothing is lost, nothing is told twice, an
account's messages keep their order, quiet hours, budgets, silences and holdouts are kept, and what is told is still
so. A second plan is taken up anew from its rows after everything that happens, and must say the same.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.action import Arm, Reason
from streams.connectors.message import MessageKind
from streams.notify.plan.decision import LATER, Decision
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.planner import NEVER_MS, Planner, RosterMember
from streams.notify.plan.silence import Silence
from tests.unit.notify.plan.scene import DAY_MS, HOUR_MS, MINUTE_MS, ms, plan_of, transition

ACCOUNTS: Final = ("anna", "bert", "cora")
ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "nowhere")
LOOKS_MAX: Final = 5_000
AT_ONCE: Final = {"at_risk", "established"}
"""Segments whose plays tell at once: their messages keep the order of the transitions."""
PLAYS: Final[tuple[dict[str, Any], ...]] = (
    {"id": "enters", "segment": "at_risk", "inhibited_by": ["blocked"], "holdout_percent": 30},
    {"id": "leaves", "segment": "at_risk", "on": "exited"},
    {"id": "slow", "segment": "established", "cooldown_days": 2, "reentry": {"every_days": 3}},
    {"id": "lasts", "segment": "lasting", "on": {"dwell_days": 3}},
    {"id": "gathers", "segment": "gathered", "on": {"digest": "30 2 * * *"}},
    {"id": "list", "on": {"digest": "0 8 * * *"}, "list": {"segment": "gathered", "top": 2}, "template": "list"},
    {
        "id": "goes-on",
        "segment": "nurtured",
        "steps": [
            {"after_days": 1, "template": "second", "while": "at_risk"},
            {"every_days": 2, "times": 3, "template": "third"},
        ],
        "stop_on": {"exit": True, "enters": ["blocked"]},
    },
)
SEGMENTS: Final = ("at_risk", "established", "lasting", "gathered", "nurtured", "blocked")
# Nights on which clocks are changed, in Europe and in America, and an ordinary one.
STARTS: Final = ("2026-03-28 12:00", "2026-10-24 12:00", "2026-10-31 12:00", "2026-06-12 09:00")

destinations = st.fixed_dictionaries(
    {"timezone": st.sampled_from(ZONES[:3])},
    optional={
        "quiet_hours": st.fixed_dictionaries(
            {
                "from": st.sampled_from(["18:00", "01:30", "22:15"]),
                "to": st.sampled_from(["08:00", "02:30", "13:00"]),
                "weekends": st.booleans(),
                "zone": st.sampled_from(["account", "owner", "destination"]),
            }
        ),
        "budget_per_day": st.integers(1, 4),
        "group": st.fixed_dictionaries(
            {
                "wait_s": st.sampled_from([0, 30, 3_600]),
                "interval_s": st.sampled_from([0, 300, 7_200]),
                "by": st.sampled_from([[], ["segment"], ["account"], ["segment", "direction"]]),
                "max": st.integers(1, 4),
            }
        ),
    },
)
spans = st.one_of(
    st.integers(0, 2 * MINUTE_MS),
    st.integers(0, 12 * HOUR_MS),
    st.integers(0, 4 * DAY_MS),
)


class PlanMachine(RuleBasedStateMachine):
    @initialize(destination=destinations, start=st.sampled_from(STARTS), measured=st.booleans())
    def begin(self, *, destination: dict[str, Any], start: str, measured: bool) -> None:
        plays = [{**play, "holdout_percent": play.get("holdout_percent", 0) if measured else 0} for play in PLAYS]
        self.plan: DestinationPlan = plan_of(*plays, **destination)
        self.now_ms = ms(start)
        self.planner, self.twin = Planner(self.plan), Planner(self.plan)
        self.rows: dict[str, bytes] = {}
        self.segments: dict[str, set[str]] = {name: set() for name in ACCOUNTS}
        self.facts: dict[str, dict[str, str]] = {name: {} for name in ACCOUNTS}
        self.sequences: Counter[str] = Counter()
        self.silences: dict[str, Silence] = {}
        self.waiting: dict[str, tuple[str, Reason]] = {}
        """What waits, by delivery id: its transition, and what it was last said to wait for."""
        self.taken: dict[str, str] = {}
        """Transitions that a play waits for, and the play."""
        self.ended: Counter[str] = Counter()
        """How often they were told, told as a number, or refused."""
        self.ids: set[str] = set()
        self.per_day: Counter[str] = Counter()
        self.listed_ms = 0
        self.furthest: Counter[str] = Counter()
        self.arms: dict[str, Arm] = {}
        """By transition; and by account, for only one play holds anybody out."""
        self.looks = 0

    # -- what happens ------------------------------------------------------------------------------------------------

    @rule(account=st.sampled_from(ACCOUNTS), segment=st.sampled_from(SEGMENTS), zone=st.sampled_from((*ZONES, "")))
    def changes(self, account: str, segment: str, zone: str) -> None:
        """The account enters the segment, or leaves it if it is there."""
        self.facts[account] = {"timezone": zone, "owner_timezone": zone} if zone else {}
        entered = segment not in self.segments[account]
        (self.segments[account].add if entered else self.segments[account].remove)(segment)
        self.sequences[account] += 1
        direction = "entered" if entered else "exited"
        news, source = transition(
            account, self.sequences[account], self.now_ms, segment=segment, direction=direction
        )  # fmt: skip
        for play in PLAYS:
            if play.get("segment") == segment and (play.get("on") == "exited") != entered:
                self.taken[news.transition_id] = play["id"]
        made = [one.take(news, source, self.facts[account], self.now_ms) for one in (self.planner, self.twin)]
        self.hear(*made)

    @rule(span_ms=spans)
    def time_passes(self, span_ms: int) -> None:
        """With a look whenever the plan wants one."""
        until_ms = self.now_ms + span_ms
        while (due_ms := max(self.planner.next_ms(), self.now_ms)) <= until_ms:
            self.now_ms = due_ms
            self.look()
        self.now_ms = until_ms

    @rule(span_ms=spans)
    def nobody_works(self, span_ms: int) -> None:
        """For a while; what became due meanwhile is looked at afterwards."""
        self.now_ms += span_ms
        while self.planner.next_ms() <= self.now_ms:
            self.look()

    @rule(
        account=st.sampled_from((*ACCOUNTS, None)), segment=st.sampled_from((*SEGMENTS, None)), hours=st.integers(1, 72)
    )
    def is_silenced(self, account: str | None, segment: str | None, hours: int) -> None:
        silence = Silence(
            id=f"{account}/{segment}", until_ms=self.now_ms + hours * HOUR_MS, account=account, segment=segment
        )
        self.silences[silence.id] = silence
        for one in (self.planner, self.twin):
            one.silence(silence, self.now_ms)
        self.hear([], [])

    @precondition(lambda self: self.silences)
    @rule()
    def silences_end(self) -> None:
        for name in self.silences:
            for one in (self.planner, self.twin):
                one.unsilence(name)
        self.silences.clear()
        self.hear([], [])

    def look(self) -> None:
        assert self.twin.next_ms() == self.planner.next_ms() < NEVER_MS
        self.looks += 1
        assert self.looks < LOOKS_MAX, "the plan is due for ever"
        self.hear(self.planner.due(self.now_ms), self.twin.due(self.now_ms))
        requests = self.planner.wants_roster(self.now_ms)
        assert requests == self.twin.wants_roster(self.now_ms)
        for request in requests:
            members = [RosterMember(name, 0) for name in ACCOUNTS if request.segment in self.segments[name]]
            self.hear(*(one.give_roster(request, members, self.now_ms) for one in (self.planner, self.twin)))

    # -- what is said ------------------------------------------------------------------------------------------------

    def hear(self, made: list[Decision], again: list[Decision]) -> None:
        assert made == again, "a plan with restarts says something else"
        self.planner.changes()
        for key, row in self.twin.changes():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.twin = Planner(self.plan)
        for key, row in self.rows.items():
            self.twin.restore(key, row)
        for decision in made:
            if decision.opens:
                self.told(decision)
            elif decision.reason is Reason.EXPOSED:
                self.exposed(decision)
            else:
                self.not_told(decision)

    def told(self, decision: Decision) -> None:
        delivery = decision.delivery
        assert delivery.delivery_id not in self.ids, "a delivery was opened twice"
        self.ids.add(delivery.delivery_id)
        self.within_budget()
        assert delivery.more == 0 or delivery.kind is not MessageKind.NOTE
        if delivery.kind is MessageKind.LIST:
            assert (delivery.scheduled_at_ms or 0) > self.listed_ms, "a list came twice for one time"
            self.listed_ms = self.now_ms
        if delivery.kind is MessageKind.NOTE:
            self.waiting.pop(delivery.delivery_id, None)
        for item in delivery.items:
            news = item.news
            assert self.arms.get(news.transition_id) is not Arm.CONTROL, "an account that is held out was told of"
            self.not_at_a_quiet_time({} if delivery.kind is MessageKind.LIST else item.facts)
            assert not self.silenced(news.account_id, news.segment), "a silence was broken"
            if delivery.kind is MessageKind.DIGEST:
                self.leaves_waiting(news.transition_id)
            if delivery.step == 0:
                self.still_so(news.account_id, news.segment, news.direction)
            if delivery.step == 0 and news.segment in AT_ONCE:
                self.in_order(news.account_id, int(news.fields["sequence"]))
                self.ended[news.transition_id] += 1
                assert self.ended[news.transition_id] == 1, "a transition was told twice"

    def not_told(self, decision: Decision) -> None:
        delivery, reason = decision.delivery, decision.reason
        if delivery.kind is MessageKind.LIST:
            assert reason in {Reason.EMPTY_LIST, Reason.OVER_BUDGET, Reason.SILENCED}
            return
        transition_id = delivery.news.transition_id
        if reason in LATER:
            assert decision.until_ms is not None
            assert decision.until_ms >= self.now_ms or reason is Reason.IN_ORDER
            self.waiting[delivery.delivery_id] = (transition_id, reason)
            return
        self.waiting.pop(delivery.delivery_id, None)
        if delivery.step == 0 and delivery.news.segment in AT_ONCE:
            self.ended[transition_id] += 1
            assert self.ended[transition_id] == 1, "a transition ended twice"

    def exposed(self, decision: Decision) -> None:
        transition_id = decision.delivery.news.transition_id
        assert transition_id not in self.arms, "an account was exposed twice by one entry"
        assert decision.arm is not None
        self.arms[transition_id] = decision.arm
        account = f"account {decision.delivery.news.account_id}"
        assert self.arms.setdefault(account, decision.arm) is decision.arm, "an account changed its arm"

    # -- what people rely on -----------------------------------------------------------------------------------------

    def leaves_waiting(self, transition_id: str) -> None:
        """Of what waits about a transition, a digest tells all but what has its own time still to come."""
        for name, (waits, reason) in list(self.waiting.items()):
            if waits == transition_id and reason not in {Reason.NEXT_STEP, Reason.DWELLING}:
                del self.waiting[name]

    def within_budget(self) -> None:
        day = f"{datetime.fromtimestamp(self.now_ms / 1_000, UTC).astimezone(self.plan.zone):%Y-%m-%d}"
        self.per_day[day] += 1
        assert self.plan.budget_per_day is None or self.per_day[day] <= self.plan.budget_per_day

    def not_at_a_quiet_time(self, facts: Any) -> None:
        hours = self.plan.quiet_hours
        if hours is None:
            return
        name = facts.get({"account": "timezone", "owner": "owner_timezone"}.get(hours.zone.value, ""), "nowhere")
        zone = self.plan.zone if name == "nowhere" else ZoneInfo(name)
        local = datetime.fromtimestamp(self.now_ms / 1_000, UTC).astimezone(zone)
        minute = local.hour * 60 + local.minute
        inside = [(hours.start, hours.end)] if hours.start < hours.end else [(hours.start, 1_440), (0, hours.end)]
        assert not any(start <= minute < end for start, end in inside), f"told at {local}"
        assert not (hours.weekends and local.weekday() >= 5), f"told at {local}"

    def silenced(self, account: str, segment: str) -> bool:
        return any(
            self.now_ms < one.until_ms and one.account in (None, account) and one.segment in (None, segment)
            for one in self.silences.values()
        )

    def still_so(self, account: str, segment: str, direction: str) -> None:
        assert (segment in self.segments[account]) == (direction == "entered"), "what was told is no longer so"
        inhibits = segment == "at_risk" and direction == "entered"
        assert not (inhibits and "blocked" in self.segments[account]), "an inhibition was ignored"

    def in_order(self, account: str, sequence: int) -> None:
        assert sequence > self.furthest[account], "a later transition was told before"
        self.furthest[account] = sequence

    @invariant()
    def what_waits_is_known(self) -> None:
        if hasattr(self, "planner"):
            assert self.planner.waiting == len(self.waiting)
            assert self.twin.waiting == len(self.waiting)

    def teardown(self) -> None:
        """In the end everything has ended."""
        if not hasattr(self, "planner"):
            return
        if self.silences:
            self.silences_end()
        for _ in range(60):
            self.time_passes(DAY_MS)
        assert self.planner.waiting == 0
        assert self.waiting == {}
        at_once = [name for name, play in self.taken.items() if play in {"enters", "leaves", "slow"}]
        assert all(self.ended[name] == 1 for name in at_once), "a transition was lost"


PlanMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestThePlanKeepsWhatPeopleRelyOn = PlanMachine.TestCase
