"""The working set of one account under one program: everything derived from its state that rules read.

Nothing here is stored; it can be rebuilt from the state at any time, and a test holds the two equal. It exists so
that an event costs additions instead of recounts: `windows` keeps sums and distinct counts per window, and `values` are
its numbers, which rules read by place.

`counted` has bit n set if anything was counted n days ago: the next day on which any window changes is found by
shifting it against the edges of all windows.
"""

from typing import Any, Final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from schemas.catalog import Aggregate
from streams.engine import measures
from streams.engine.account import MINUS_INFINITY, NONE, Account, EventSeries, MeasureSeries, writable
from streams.engine.days import COUNT_BITS, Days
from streams.engine.population import NO_THRESHOLDS, Thresholds
from streams.engine.program import Program
from streams.engine.rules.linear import NEVER
from streams.engine.rules.values import number, text, time_of
from streams.engine.windows import ACTIVE_DAYS, ACTIVITY, CORES, NAMED, NO_DAY, NOTHING, SCORE, TEAMS, USERS, Windows
from streams.limits import RESOURCES_MAX, RETENTION_DAYS

_MASK: Final = (1 << RETENTION_DAYS) - 1


@mypyc_attr(acyclic=True)
class Working:
    __slots__ = (
        "_core_days",
        "_measured",
        "_settled",
        "account",
        "activated",
        "activated_at",
        "activation_rate",
        "cancelled_at",
        "converted_at",
        "counted",
        "first_value_at",
        "last_active_at",
        "members",
        "mrr",
        "nps",
        "plan",
        "program",
        "seats",
        "signed_up_at",
        "thresholds",
        "today",
        "trial_ends_at",
        "usage_ratio",
        "values",
        "windows",
    )  # fmt: skip

    _core_days: vec[i64]
    _measured: dict[tuple[str, int, int], float | int | None]
    _settled: str | None
    account: Account
    activated: bool
    activated_at: int | None
    activation_rate: int | float
    cancelled_at: int | None
    converted_at: int | None
    counted: int
    first_value_at: int | None
    last_active_at: int
    members: int
    mrr: int | float | None
    nps: float | None
    plan: str | None
    program: Program
    seats: int | float | None
    signed_up_at: int
    thresholds: Thresholds
    today: int
    trial_ends_at: int
    usage_ratio: float | None
    values: vec[i64]
    windows: Windows

    def __init__(
        self,
        program: Program,
        account: Account,
        thresholds: Thresholds = NO_THRESHOLDS,
        at: int | None = None,
        source: "Working | None" = None,
    ) -> None:
        """`at`: with the windows of that moment instead of the account's own; `source`: see `ahead`."""
        if source is not None:
            self._copy(source, program, account)
            return
        self.program = program
        self.account = account
        self.thresholds = thresholds
        self._measured = NONE
        self.members = 0
        for segment in account.members:
            if segment in program.bits:
                self.members |= 1 << program.bits[segment]
        self.refresh_traits()
        self.refresh_checklist()
        self.refresh_billing()
        self.refresh_nps()
        at = account.now if at is None else at
        self.today = NO_DAY if at == MINUS_INFINITY else program.calendar.day_of(at)
        self._rebuild_windows()

    def ahead(self, account: Account, program: Program) -> "Working":
        """A scratch copy under a program cut down from this one: rolling it ahead leaves this one alone.

        Only windows move with the days; facts are shared, for they change with records alone.
        """
        return Working(program, account, self.thresholds, source=self)

    def _copy(self, source: "Working", program: Program, account: Account) -> None:
        self.program, self.account, self.thresholds = program, account, source.thresholds
        self._core_days = source._core_days  # noqa: SLF001 - of its own kind
        self._settled = source._settled  # noqa: SLF001
        self._measured = NONE
        self.activated, self.activated_at = source.activated, source.activated_at
        self.activation_rate = source.activation_rate
        self.converted_at, self.cancelled_at = source.converted_at, source.cancelled_at
        self.signed_up_at, self.trial_ends_at = source.signed_up_at, source.trial_ends_at
        self.last_active_at, self.first_value_at = source.last_active_at, source.first_value_at
        self.mrr, self.plan, self.seats = source.mrr, source.plan, source.seats
        self.nps, self.usage_ratio = source.nps, source.usage_ratio
        self.today, self.members = source.today, source.members
        self.counted = source.counted
        slots = program.slots
        self.windows = Windows(slots.plan, [], 0, source.windows, slots.figures_in(source.program.slots))
        self.values = self.windows.values

    # Facts

    def refresh_traits(self) -> None:
        """What traits say: plan, mrr, seats, usage, and the dates of sign-up and trial end."""
        trait = self.account.trait
        if not self.account.traits:
            self.plan = self.mrr = self.seats = self.usage_ratio = None
            self.refresh_dates()
            return
        self.plan = text(trait("plan"))
        self.mrr = number(trait("mrr"))
        self.seats = number(trait("seats"))
        self.usage_ratio = usage_ratio(trait("usage"), trait("limits"))
        self.refresh_dates()

    def refresh_dates(self) -> None:
        known = self.account.traits
        created = time_of(self.account.trait("createdAt")) if known else None
        self.signed_up_at = self.account.first_seen if created is None else created
        ends = time_of(self.account.trait("trialEndsAt")) if known else None
        self.trial_ends_at = self.signed_up_at + self.program.trial_ms if ends is None else ends
        self.refresh_activity_times()

    def refresh_billing(self) -> None:
        account = self.account
        self.converted_at, self.cancelled_at = account.converted_at, account.cancelled_at
        started, cancelled = account.converted_at, account.cancelled_at
        if cancelled is not None and (
            started is None or cancelled > started or (cancelled == started and account.tie_cancelled)
        ):
            self._settled = "cancelled"
        else:
            self._settled = None if started is None else "customer"

    def stage(self, now: int) -> str:
        return self._settled or ("trial" if now < self.trial_ends_at else "expired")

    def refresh_nps(self) -> None:
        answers = self.account.nps
        self.nps = sum(score for _, score in answers.values()) / len(answers) if answers else None

    def refresh_checklist(self) -> None:
        keys, done = self.program.step_keys, self.account.steps
        times = [done[key] for key in keys if key in done]
        self.activation_rate = len(times) / len(keys) if keys else 0
        self.activated = bool(keys) and len(times) == len(keys)
        self.activated_at = max(times) if self.activated else None

    def refresh_activity_times(self) -> None:
        account = self.account
        self.last_active_at = self.signed_up_at if account.last_active is None else account.last_active
        value = account.events.get(self.program.catalog.value_event or "")
        self.first_value_at = None if value is None else value.first

    # Windows

    def _rebuild_windows(self) -> None:
        account, today = self.account, self.today
        reach = _Reach(today)
        reach.note_days(account.activity.packed)
        for series in account.events.values():
            reach.note_days(series.packed)
        for at in account.sequences.values():  # a pair outlives the event name that completed it
            reach.note(today - self.program.calendar.day_of(at))
        self.counted = reach.mask()
        slots = self.program.slots
        counted: list[Days] = [account.activity, account.activity, account.activity]
        for name in slots.events:
            known = account.events.get(name)
            counted.append(NOTHING if known is None else known)
        core_features = self.program.core_features
        self._core_days = vec[i64]([NO_DAY] * len(core_features))
        for place, name in enumerate(core_features):
            known = account.events.get(name)
            if known is not None:
                self._core_days[place] = self.program.calendar.day_of(known.last)
        self.windows = Windows(slots.plan, counted, today)
        self.values = self.windows.values
        self.recount()

    def recount(self) -> None:
        """Count distinct things anew: some were evicted or forgotten."""
        windows, today = self.windows, self.today
        windows.recount(USERS, _days_of(self.account.users), today)
        windows.recount(TEAMS, _days_of(self.account.teams), today)
        windows.recount(CORES, self._core_days, today)

    def roll(self, today: int) -> None:
        """Bring all windows to another day. Looking at the population may have brought them ahead of the account."""
        before = self.today
        ahead = today - before
        if ahead == 0:
            return
        self.today = today
        self._measured = NONE
        if ahead < 0:
            self._rebuild_windows()
            return
        self.counted = counted_after(self.counted, ahead)
        self.windows.roll(before, today)

    def add_activity(self, day: int, weight: i64) -> None:
        """One activity event on a day within reach, of `weight` thousandths."""
        age = self.today - day
        windows = self.windows
        windows.add(ACTIVITY, age, 1)
        windows.add(SCORE, age, weight)
        if self.account.activity.count(day, weight):
            windows.add(ACTIVE_DAYS, age, 1)

    def add_named(self, counted_at: int, day: int) -> None:
        """One event counted under a name, on a day within reach; `counted_at` as in its plan."""
        age = self.today - day
        self.counted |= 1 << age
        if counted_at >= 0:
            self.windows.add(NAMED + counted_at, age, 1)

    def begin_named(self, counted_at: int, series: EventSeries) -> None:
        """A name is seen for the first time, or again after it was evicted: its windows follow this series."""
        if counted_at >= 0:
            self.windows.follow(NAMED + counted_at, series, self.today)

    def add_core(self, place: int, day: int) -> None:
        """The core feature at a place was used on a day."""
        known = self._core_days[place]
        if day > known:
            self._core_days[place] = day
            self.windows.see(CORES, known, day, self.today)

    def add_user(self, known: int | None, day: int) -> None:
        """A user whose last active day was `known` is active on `day`, which is later."""
        self.windows.see(USERS, known, day, self.today)

    def add_team(self, known: int | None, day: int) -> None:
        self.windows.see(TEAMS, known, day, self.today)

    def forget_event(self, name: str) -> None:
        """An event name was evicted: its windows are empty from now on."""
        plan = self.program.names.plan_of(name)
        if plan.counted_at >= 0:
            self.windows.follow(NAMED + plan.counted_at, NOTHING, self.today)
        if plan.core >= 0:
            self._core_days[plan.core] = NO_DAY
        self.recount()
        self.refresh_activity_times()

    def add_measured(self, name: str, aggregate: Aggregate, t: int, day: int, value: Any) -> bool:
        """A value of a measure, seen on a day within reach. Returns False if an older value was evicted."""
        account = self.account
        series = account.measures.get(name)
        if series is None:
            account.measures = writable(account.measures)
            series = account.measures[name] = MeasureSeries()
        self._measured = NONE
        kept = measures.add(aggregate, series, day, t, value)
        return measures.make_room(account.measures) and kept

    def measure(self, name: str, days: int, before: int) -> float | int | None:
        """A declared measure over a window."""
        key = (name, days, before)
        if key not in self._measured:
            last_day = self.today - before
            series = self.account.measures.get(name)
            aggregate = self.program.aggregates[name]
            self._measured = writable(self._measured)
            self._measured[key] = measures.read(aggregate, series, last_day - days + 1, last_day)
        return self._measured[key]

    def next_edge_at(self) -> int:
        """The start of the next day on which any window changes without a record, in ms; `NEVER` if none will."""
        return next_edge_at(self.program, self.counted, self.today)


def _days_of(last_days: dict[str, int]) -> vec[i64]:
    days = vec[i64]([0] * len(last_days))
    for place, day in enumerate(last_days.values()):
        days[place] = day
    return days


def counted_after(counted: int, days: int) -> int:
    """`Working.counted` so many days later."""
    return counted << days & _MASK if days < RETENTION_DAYS else 0


def next_edge_at(program: Program, counted: int, today: int) -> int:
    """The start of the next day on which any window of a program changes without a record; `NEVER` if none will."""
    ahead = program.slots.edges_ahead.ahead(counted)
    return program.calendar.start_of(today + ahead) if ahead else NEVER


def usage_ratio(usage: Any, limits: Any) -> float | None:
    """The highest usage / limit over the resources that have both as numbers, the limit above 0."""
    if type(usage) is not dict or type(limits) is not dict:
        return None
    best: float | None = None
    for resource in list(usage)[:RESOURCES_MAX]:
        used, limit = number(usage[resource]), number(limits.get(resource))
        if used is not None and limit is not None and limit > 0:
            ratio = number(used / limit)
            if ratio is not None and (best is None or ratio > best):
                best = ratio
    return best


@mypyc_attr(acyclic=True)
class _Reach:
    """Days within reach as bits by age, in halves that compiled code keeps in a register."""

    __slots__ = ("_high", "_low", "_today")

    _today: i64
    _low: i64
    _high: i64

    def __init__(self, today: int) -> None:
        self._today = today
        self._low = 0
        self._high = 0

    def note_days(self, packed: vec[i64]) -> None:
        low, high, today, bits = self._low, self._high, self._today, _BITS
        for place in range(i64(len(packed))):
            age = today - (packed[place] >> COUNT_BITS)
            if age >= 0:
                if age < _HALF:
                    low |= bits[age]
                elif age < RETENTION_DAYS:
                    high |= bits[age - _HALF]
        self._low, self._high = low, high

    def note(self, age: int) -> None:
        if 0 <= age < _HALF:
            self._low |= _BITS[age]
        elif _HALF <= age < RETENTION_DAYS:
            self._high |= _BITS[age - _HALF]

    def mask(self) -> int:
        return int(self._low) | int(self._high) << _HALF


_HALF: Final = RETENTION_DAYS // 2
_BITS: Final = vec[i64]([1 << age for age in range(_HALF)])
"""By age; as a table, for in compiled code a shifted constant has 32 bits."""
