"""The working set of one account under one program: everything derived from its state that rules read.

Nothing here is stored; it can be rebuilt from the state at any time, and a test holds the two equal. It exists so
that an event costs additions instead of recounts:

* A window sum is the difference of two prefix sums. `score[-1]` is the sum up to today, `score[-1 - n]` up to n days
  ago; an event of today adds to the last entry, a late one to all entries from its day on, a new day appends.
* Distinct counts per window (users, teams, core features) are kept as numbers; a user counts in a window of k days
  if its last active day is among them, so within a day counts only grow, and a new day recounts.
* `mask` has bit n set if there was activity n days ago, `counted` if anything at all was counted on that day: the next
  day on which any window changes is found by shifting it against the edges of all windows.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, Final

from schemas.catalog import Aggregate
from streams.engine import measures
from streams.engine.account import MINUS_INFINITY, Account, EventSeries
from streams.engine.measures import MeasureSeries
from streams.engine.population import NO_THRESHOLDS, Thresholds
from streams.engine.program import Program
from streams.engine.rules.linear import NEVER
from streams.engine.rules.values import number, text, time_of
from streams.limits import RESOURCES_MAX, RETENTION_DAYS

_LONG_AGO: Final = -(1 << 40)  # a day before every other
_KEPT: Final = RETENTION_DAYS + 1  # entries of prefix sums that windows can ask for
_TRIM_AT: Final = 3 * _KEPT
_MASK: Final = (1 << RETENTION_DAYS) - 1


class Working:
    __slots__ = (
        "_core_days",
        "_measured",
        "_named_at",
        "_settled",
        "account",
        "activated",
        "activated_at",
        "activation_rate",
        "activity",
        "cancelled_at",
        "converted_at",
        "cores",
        "counted",
        "first_value_at",
        "last_active_at",
        "mask",
        "members",
        "mrr",
        "named",
        "nps",
        "plan",
        "program",
        "score",
        "seats",
        "signed_up_at",
        "teams",
        "thresholds",
        "today",
        "trial_ends_at",
        "usage_ratio",
        "users",
    )  # fmt: skip

    def __init__(
        self, program: Program, account: Account, thresholds: Thresholds = NO_THRESHOLDS, at: int | None = None
    ) -> None:
        """`at`: with the windows of that moment instead of the account's own."""
        self.program = program
        self.account = account
        self.thresholds = thresholds
        self._measured: dict[tuple[str, int, int], float | int | None] = {}
        self.members = 0
        for segment in account.members:
            if segment in program.bits:
                self.members |= 1 << program.bits[segment]
        self._named_at = {name: index for index, name in enumerate(program.slots.events)}
        self.refresh_traits()
        self.refresh_checklist()
        self.refresh_billing()
        self.refresh_nps()
        self.refresh_activity_times()
        at = account.now if at is None else at
        self.today = _LONG_AGO if at == MINUS_INFINITY else program.calendar.day_of(at)
        self._rebuild_windows()

    def ahead(self, account: Account, program: Program) -> "Working":
        """A scratch copy under a program cut down from this one: rolling it ahead leaves this one alone.

        Only windows move with the days; facts are shared, for they change with records alone.
        """
        copy = Working.__new__(Working)
        for name in _FACTS:
            setattr(copy, name, getattr(self, name))
        copy.account, copy.program = account, program
        copy._measured = {}  # noqa: SLF001 - of its own kind
        copy.today, copy.members, copy.mask, copy.counted = self.today, self.members, self.mask, self.counted
        copy.score, copy.activity = self.score[-_KEPT:], self.activity[-_KEPT:]
        copy.named = [self.named[self._named_at[name]][-_KEPT:] for name in program.slots.events]
        copy.recount()
        return copy

    # Facts

    def refresh_traits(self) -> None:
        """What traits say: plan, mrr, seats, usage, and the dates of sign-up and trial end."""
        trait = self.account.trait
        self.plan = text(trait("plan"))
        self.mrr = number(trait("mrr"))
        self.seats = number(trait("seats"))
        self.usage_ratio = usage_ratio(trait("usage"), trait("limits"))
        self.refresh_dates()

    def refresh_dates(self) -> None:
        created = time_of(self.account.trait("createdAt"))
        self.signed_up_at = self.account.first_seen if created is None else created
        ends = time_of(self.account.trait("trialEndsAt"))
        self.trial_ends_at = self.signed_up_at + self.program.trial_ms if ends is None else ends
        self.refresh_activity_times()

    def refresh_billing(self) -> None:
        account = self.account
        self.converted_at, self.cancelled_at = account.converted_at, account.cancelled_at
        started, cancelled = account.converted_at, account.cancelled_at
        if cancelled is not None and (
            started is None or cancelled > started or (cancelled == started and account.tie_cancelled)
        ):
            self._settled: str | None = "cancelled"
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
        self.mask = _day_mask(account.activity, today)
        self.counted = self.mask
        for series in account.events.values():
            self.counted |= _day_mask(series.days, today)
        # A pair outlives the event name that completed it.
        self.counted |= _day_mask(map(self.program.calendar.day_of, account.sequences.values()), today)
        self.activity = _prefix_sums(account.activity, today)
        self.score = _prefix_sums(account.score, today)
        self.named = [self._sums_of(account.events.get(name)) for name in self.program.slots.events]
        # `min` of nothing: a name never seen has a last day before every window.
        self._core_days = [self._last_day(account.events.get(name)) for name in self.program.core_features]
        self.recount()

    def _sums_of(self, series: EventSeries | None) -> list[int]:
        return _prefix_sums({} if series is None else series.days, self.today)

    def _last_day(self, series: EventSeries | None) -> int:
        return _LONG_AGO if series is None else self.program.calendar.day_of(series.last)

    def recount(self) -> None:
        slots, today = self.program.slots, self.today
        self.users = _distinct(self.account.users.values(), slots.users, today)
        self.teams = _distinct(self.account.teams.values(), slots.teams, today)
        self.cores = _distinct(self._core_days, slots.cores, today)

    def roll(self, today: int) -> None:
        """Bring all windows to another day. Looking at the population may have brought them ahead of the account."""
        ahead = today - self.today
        if ahead == 0:
            return
        self.today = today
        self._measured.clear()
        if ahead < 0:
            self._rebuild_windows()
            return
        self.mask = self.mask << ahead & _MASK if ahead < RETENTION_DAYS else 0
        self.counted = self.counted << ahead & _MASK if ahead < RETENTION_DAYS else 0
        new_days = min(ahead, _KEPT)
        for sums in (self.score, self.activity, *self.named):
            sums.extend([sums[-1]] * new_days)
            if len(sums) > _TRIM_AT:
                del sums[:-_KEPT]
        self.recount()

    def add_activity(self, day: int, weight: int) -> None:
        """One activity event on a day within reach, of `weight` thousandths."""
        age = self.today - day
        self.mask |= 1 << age
        if age:
            _add_late(self.activity, age, 1)
            _add_late(self.score, age, weight)
        else:
            self.activity[-1] += 1
            self.score[-1] += weight

    def add_named(self, name: str, day: int) -> None:
        """One event counted under a name, on a day within reach."""
        age = self.today - day
        self.counted |= 1 << age
        index = self._named_at.get(name)
        if index is not None:
            _add_late(self.named[index], age, 1)

    def add_core(self, name: str, day: int) -> None:
        place = self.program.core_features.get(name)
        if place is not None:
            known = self._core_days[place]
            if day > known:
                self._core_days[place] = day
                _grow(self.cores, self.program.slots.cores, self.today, known, day)

    def add_user(self, known: int | None, day: int) -> None:
        """A user whose last active day was `known` is active on `day`."""
        _grow(self.users, self.program.slots.users, self.today, _LONG_AGO if known is None else known, day)

    def add_team(self, known: int | None, day: int) -> None:
        _grow(self.teams, self.program.slots.teams, self.today, _LONG_AGO if known is None else known, day)

    def forget_event(self, name: str) -> None:
        """An event name was evicted: its windows are empty from now on."""
        index = self._named_at.get(name)
        if index is not None:
            self.named[index] = [0] * _KEPT
        place = self.program.core_features.get(name)
        if place is not None:
            self._core_days[place] = _LONG_AGO
        self.recount()
        self.refresh_activity_times()

    def add_measured(self, name: str, aggregate: Aggregate, t: int, day: int, value: Any) -> bool:
        """A value of a measure, seen on a day within reach. Returns False if an older value was evicted."""
        series = self.account.measures.get(name)
        if series is None:
            series = self.account.measures[name] = MeasureSeries()
        self._measured.clear()
        kept = measures.add(aggregate, series, day, t, value)
        return measures.make_room(self.account.measures) and kept

    def measure(self, name: str, days: int, before: int) -> float | int | None:
        """A declared measure over a window."""
        key = (name, days, before)
        if key not in self._measured:
            last_day = self.today - before
            series = self.account.measures.get(name)
            aggregate = self.program.aggregates[name]
            self._measured[key] = measures.read(aggregate, series, last_day - days + 1, last_day)
        return self._measured[key]

    def threshold(self, definition: str, percent: int) -> float | None:
        """A percentile of all accounts; None before the first look at them."""
        percentiles = self.thresholds.percentiles.get(definition)
        return percentiles[percent] if percentiles else None

    @property
    def ranked_at(self) -> int:
        """The moment of the latest look at the population, ms."""
        return self.thresholds.at_ms

    def sequence_in(self, index: int, days: int) -> bool:
        """Whether the latest pair of a declared sequence lies in the window of `days` days."""
        at = self.account.sequences.get(sequence_key(*self.program.slots.sequences[index]))
        return at is not None and self.program.calendar.day_of(at) > self.today - days

    def next_edge_at(self) -> int:
        """The start of the next day on which any window changes without a record, in ms; `NEVER` if none will."""
        edges, counted = self.program.slots.edges, self.counted << 1
        ahead = 1
        while not counted & edges:
            counted <<= 1
            ahead += 1
            if ahead > RETENTION_DAYS or not counted:
                return NEVER
        return self.program.calendar.start_of(self.today + ahead)


_FACTS: Final = (
    "_core_days", "_settled", "activated", "activated_at", "activation_rate", "cancelled_at",
    "converted_at", "first_value_at", "last_active_at", "mrr", "nps", "plan", "seats", "signed_up_at", "thresholds",
    "trial_ends_at", "usage_ratio",
)  # fmt: skip


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


def sequence_key(first: str, second: str, within_ms: int) -> str:
    return f"{within_ms}:{first}\n{second}"


def _day_mask(days: Iterable[int], today: int) -> int:
    mask = 0
    for day in days:
        if 0 <= today - day < RETENTION_DAYS:
            mask |= 1 << (today - day)
    return mask


def _prefix_sums(days: Mapping[int, int], today: int) -> list[int]:
    """`_KEPT` sums: entry -1 - n is the sum of the days in reach up to n days before today."""
    sums = [0] * _KEPT
    first = today - RETENTION_DAYS
    for day, amount in days.items():
        if first < day <= today:
            sums[day - first] = amount
    return list(accumulate(sums)) if days else sums


def _add_late(sums: list[int], age: int, amount: int) -> None:
    for index in range(-1 - age, 0):
        sums[index] += amount


def _distinct(last_days: Iterable[int], lengths: tuple[int, ...], today: int) -> list[int]:
    if not lengths:
        return []
    ages = sorted([today - day for day in last_days])
    return [bisect_left(ages, length) for length in lengths]


def _grow(counts: list[int], lengths: tuple[int, ...], today: int, known: int, day: int) -> None:
    """One thing's last day moves from `known` to `day`: it is counted anew in the windows that only now hold it."""
    for index, length in enumerate(lengths):
        start = today - length
        if known <= start < day:
            counts[index] += 1
