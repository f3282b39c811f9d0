"""What an account is at a moment: its applied records, and every value worked out from that list.

Nothing is updated, everything is recomputed: a value is a function of the list (and of ``now_ms``, where it depends on
it). The only concession to speed is a memo that is emptied with every record, and records laid out by day.

Readings of the contract:

* "A tie goes to the later record" means later in the log.
* A billing or survey event that the catalog does not list as a signal is activity, too. If its activity is too
  late, the record still counts as applied (a fact with a date), but under no name and in no window.
* An NPS answer with the same ``t`` as another of its user: the later record, as with traits.
* ``sum``, ``max``, ``min``, ``last`` take finite numbers; ``unique`` takes texts and finite numbers.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.model.catalog import Catalog, Measure
from tests.model.records import Record, mapping, parse_time, text

T = TypeVar("T")
Value = Any  # a number, text, boolean, time in ms or list; None is unknown


@dataclass(frozen=True, slots=True)
class Applied:
    record: Record
    event_ms: int  # t, after step 1
    now_ms: int  # S.now of the record
    position: int  # in the list of applied records
    names: frozenset[str]  # under which it counts; none: it carries facts alone
    is_activity: bool
    weight_milli: int

    @property
    def age_key(self) -> tuple[int, int]:
        """Greatest t first, a tie to the later record."""
        return self.event_ms, self.position


def number(value: Value) -> Value:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def at_path(properties: dict[str, Any], path: str) -> Any:
    found: Any = properties
    for key in path.split("."):
        found = mapping(found).get(key)
    return found


def greatest(times: Iterable[int]) -> int | None:
    return max(times, default=None)


class Account:
    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.applied: list[Applied] = []
        self._by_day: defaultdict[int, list[Applied]] = defaultdict(list)
        self._memo: dict[Any, Any] = {}

    def append(self, applied: Applied) -> None:
        self.applied.append(applied)
        if applied.names:
            self._by_day[self.catalog.day_of(applied.event_ms)].append(applied)
        self._memo.clear()

    def _once(self, key: Any, work_out: Callable[[], T]) -> T:
        """The value, worked out once between two records."""
        if key not in self._memo:
            self._memo[key] = work_out()
        value: T = self._memo[key]
        return value

    # --- the record lists the values are made of ---

    def activity(self) -> list[Applied]:
        return self._once("activity", lambda: [applied for applied in self.applied if applied.is_activity])

    def named(self, name: str) -> list[Applied]:
        return self._once(("named", name), lambda: [applied for applied in self.applied if name in applied.names])

    def window(self, now_ms: int, days: int, before: int) -> list[Applied]:
        """What counts on the ``days`` days that end ``before`` days before the day of now."""
        last = self.catalog.day_of(now_ms) - before
        return self._once(
            ("window", last, days),
            lambda: [one for day in range(last - days + 1, last + 1) for one in self._by_day.get(day, ())],
        )

    def last_counted_day(self) -> int | None:
        return max(self._by_day, default=None)

    # --- facts ---

    def _newest_trait(self, key: str) -> Value:
        written: list[tuple[tuple[int, int], Any]] = []
        for applied in self.applied:
            traits = _writes(applied.record)
            if key in traits:
                written.append((applied.age_key, traits[key]))
        return max(written, key=lambda one: one[0], default=(None, None))[1]

    def trait(self, key: str) -> Value:
        value = self._once(("trait", key), lambda: self._newest_trait(key))
        return number(value) if isinstance(value, float) else value

    def _time_trait(self, key: str) -> int | None:
        return self._once(("time", key), lambda: parse_time(self.trait(key)))

    def signed_up_at(self) -> int:
        created = self._time_trait("createdAt")
        return created if created is not None else self._once("first", lambda: min(a.event_ms for a in self.applied))

    def trial_ends_at(self) -> float:
        ends = self._time_trait("trialEndsAt")
        return ends if ends is not None else self.signed_up_at() + self.catalog.trial_ms

    def _newest_of_event(self, event: str) -> tuple[int, int] | None:
        def newest() -> tuple[int, int] | None:
            return max((a.age_key for a in self.applied if a.record.name == event), default=None)

        return self._once(("newest", event), newest)

    def converted_at(self) -> int | None:
        newest = self._newest_of_event("subscription_started")
        return newest[0] if newest else None

    def cancelled_at(self) -> int | None:
        newest = self._newest_of_event("subscription_cancelled")
        return newest[0] if newest else None

    def stage(self, now_ms: int) -> str:
        converted = self._newest_of_event("subscription_started")
        cancelled = self._newest_of_event("subscription_cancelled")
        if cancelled is not None and (converted is None or cancelled > converted):
            return "cancelled"
        if converted is not None:
            return "customer"
        return "trial" if now_ms < self.trial_ends_at() else "expired"

    def _done_at(self, event: str, count: int) -> int | None:
        """S.now of the record that brought the step to its count."""
        records = self.named(event)
        return records[count - 1].now_ms if len(records) >= count else None

    def _steps(self) -> list[int | None]:
        return [self._done_at(event, count) for event, count in self.catalog.checklist]

    def activated_at(self) -> int | None:
        steps = self._steps()
        done = [at for at in steps if at is not None]
        return max(done) if steps and len(done) == len(steps) else None

    def activation_rate(self) -> float:
        steps = self._steps()
        return sum(at is not None for at in steps) / len(steps) if steps else 0.0

    def last_active_at(self) -> int:
        active = self._once("last_active", lambda: greatest(a.event_ms for a in self.activity()))
        return active if active is not None else self.signed_up_at()

    def last(self, event: str) -> int | None:
        return self._once(("last", event), lambda: greatest(a.event_ms for a in self.named(event)))

    def first_value_at(self) -> int | None:
        event = self.catalog.value_event
        return min((a.event_ms for a in self.named(event)), default=None) if event else None

    def nps(self) -> float | None:
        return self._once("nps", self._mean_answer)

    def _mean_answer(self) -> float | None:
        newest: dict[str, tuple[tuple[int, int], float]] = {}
        for applied in self.applied:
            user, score = applied.record.user, number(applied.record.properties.get("score"))
            if applied.record.name != "nps_answered" or user is None or score is None or not 0 <= score <= 10:
                continue
            if user not in newest or applied.age_key > newest[user][0]:
                newest[user] = (applied.age_key, score)
        return sum(score for _, score in newest.values()) / len(newest) if newest else None

    def usage_ratio(self) -> float | None:
        usage, limits = mapping(self.trait("usage")), mapping(self.trait("limits"))
        pairs = [(number(used), number(limits.get(resource))) for resource, used in usage.items()]
        return max((used / limit for used, limit in pairs if used is not None and limit and limit > 0), default=None)

    # --- windows; without days: all applied so far ---

    def _span(self, now_ms: int, days: int | None, before: int) -> list[Applied]:
        return self.applied if days is None else self.window(now_ms, days, before)

    def count(self, now_ms: int, event: str, days: int | None = None, before: int = 0) -> int:
        if event == "*":
            return sum(a.is_activity for a in self._span(now_ms, days, before))
        return sum(event in a.names for a in self._span(now_ms, days, before))

    def score(self, now_ms: int, days: int | None = None, before: int = 0) -> float:
        return sum(a.weight_milli for a in self._span(now_ms, days, before) if a.is_activity) / 1000

    def active_users(self, now_ms: int, days: int | None = None, before: int = 0) -> int:
        users = {a.record.user for a in self._span(now_ms, days, before) if a.is_activity}
        return len(users - {None})

    def active_days(self, now_ms: int, days: int | None = None, before: int = 0) -> int:
        return len({self.catalog.day_of(a.event_ms) for a in self._span(now_ms, days, before) if a.is_activity})

    def core_features(self, now_ms: int, days: int | None = None, before: int = 0) -> int:
        used = {name for a in self._span(now_ms, days, before) if a.is_activity for name in a.names}
        return len(used & self.catalog.core_features)

    def teams(self, now_ms: int, days: int | None = None, before: int = 0) -> int:
        teams = {text(a.record.properties.get("team")) for a in self._span(now_ms, days, before) if a.is_activity}
        return len(teams - {None})

    def measure(self, now_ms: int, name: str, days: int | None = None, before: int = 0) -> Value:
        measure = self.catalog.measures[name]
        seen = [a for a in self._span(now_ms, days, before) if measure.event in a.names]
        return _aggregate(measure, sorted(seen, key=lambda a: a.age_key))

    def sequence(self, now_ms: int, first: str, second: str, within_ms: float, days: int) -> bool:
        def pairs() -> list[Applied]:
            found: list[Applied] = []
            newest: int | None = None
            for applied in self.applied:
                if second in applied.names and newest is not None and 0 <= applied.event_ms - newest <= within_ms:
                    found.append(applied)
                if first in applied.names:
                    newest = applied.event_ms if newest is None else max(newest, applied.event_ms)
            return found

        completed = self._once(("sequence", first, second, within_ms), pairs)
        today = self.catalog.day_of(now_ms)
        return any(today - days < self.catalog.day_of(applied.event_ms) <= today for applied in completed)


def _writes(record: Record) -> dict[str, Any]:
    """The account traits that a record writes."""
    if record.name in ("subscription_started", "plan_changed"):
        return {key: record.properties[key] for key in ("plan", "mrr") if key in record.properties}
    return record.traits


def _aggregate(measure: Measure, seen: list[Applied]) -> Value:
    found = [at_path(a.record.properties, measure.path) for a in seen]
    numbers = [value for value in found if number(value) is not None]
    if measure.aggregate == "unique":
        return len({value for value in found if isinstance(value, str) or number(value) is not None})
    if measure.aggregate == "sum":
        return sum(numbers)
    if not numbers:
        return None
    return {"max": max(numbers), "min": min(numbers), "last": numbers[-1]}[measure.aggregate]
