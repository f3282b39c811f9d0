"""What a record does to an account's state: section 2 of the contract, one function per kind of fact.

Every collection has a limit. What overflows evicts the least recently active entry, what is too long is cut; each is
counted in `Counts` under its own reason, nothing is dropped silently.
"""

import hashlib
from collections import Counter
from enum import StrEnum
from typing import Any, Final

import msgspec

from streams import limits
from streams.engine.account import Account, EventSeries, writable
from streams.engine.naming import NAMELESS, NamePlan, Naming
from streams.engine.record import ACTIVITY_TYPES, Record, team_of
from streams.engine.rules.values import number, property_at
from streams.engine.shared import shared
from streams.engine.working import Working

NPS_MAX: Final = 10
EVENT_NAME_CHARS_MAX: Final = 200
NESTED_TRAIT_PARTS_MAX: Final = 200
_SHORT_CHARS: Final = limits.IDENTITY_BYTES_MAX // 4
"""However they are encoded, no more bytes than an identity may have."""


class Noted(StrEnum):
    """What the engine counts beside transitions; the words are those of the metrics."""

    APPLIED = "applied"
    DUPLICATE = "duplicates"
    TOO_LATE = "late"
    CLOCK_AHEAD = "clock_ahead"
    DEADLINE = "deadlines"
    SUPPRESSED = "suppressed"
    NPS_IGNORED = "ignored:nps_answer"
    USER_EVICTED = "evicted:users"
    TEAM_EVICTED = "evicted:teams"
    EVENT_EVICTED = "evicted:event_names"
    VALUE_EVICTED = "evicted:measure_values"
    ANSWER_EVICTED = "evicted:nps_answers"
    TRAIT_EVICTED = "evicted:traits"
    TEXT_CUT = "cut:text"
    TRAIT_TOO_LARGE = "cut:trait"


Counts = Counter[Noted]


def naming_of(record: Record, working: Working, counts: Counts) -> Naming:
    """The names under which a record counts: its own, and those of named events whose condition it satisfies."""
    if record.kind not in ACTIVITY_TYPES:
        return NAMELESS
    name = record.name
    if len(name) > EVENT_NAME_CHARS_MAX:
        name = _cut(name, EVENT_NAME_CHARS_MAX, counts)
    return working.program.names.naming_of(name, record.properties)


def apply_record(
    account: Account, working: Working, record: Record, naming: Naming, counts: Counts, *, too_late: bool
) -> None:
    """Apply a record at `account.now`. Of an activity that is too late, only what it says as a fact is applied."""
    t = record.t
    if t < account.first_seen:
        account.first_seen = t
        working.refresh_dates()
    if naming.names:
        if naming.is_billing:
            _apply_billing(account, working, record, counts)
        elif naming.is_nps:
            _apply_nps(account, working, record, counts)
        if not too_late:
            _count_event(account, working, record, naming, counts)
    elif record.kind == "group":
        set_traits(account, record.event.traits, t, counts)
        working.refresh_traits()


def _count_event(account: Account, working: Working, record: Record, naming: Naming, counts: Counts) -> None:
    t = record.t
    day = working.program.calendar.day_of(t)
    in_reach = working.today - day < limits.RETENTION_DAYS
    for plan in naming.plans:
        for first, key, within_ms in plan.pairs:
            _pair(account, first, key, within_ms, t)
    names, plans = naming.names, naming.plans
    for place, name in enumerate(names):
        plan = plans[place]
        series = account.events.get(name)
        if series is None:
            series = _new_series(account, working, name, plan, t, counts)
        series.total += 1
        series.first = min(series.first, t)
        series.last = max(series.last, t)
        if in_reach:
            series.count(day)
            working.add_named(plan.counted_at, day)
            if plan.measures:
                _measure(working, record, plan, day, counts)
        if plan.is_value_event:
            working.first_value_at = series.first
        if plan.steps:
            _check_steps(account, working, plan, series.total)
    if naming.is_activity:
        _count_activity(account, working, record, naming, day, counts)


def _measure(working: Working, record: Record, plan: NamePlan, day: int, counts: Counts) -> None:
    for measure, aggregate, path in plan.measures:
        value = property_at(record.properties, path)
        if not working.add_measured(measure, aggregate, record.t, day, value):
            counts[Noted.VALUE_EVICTED] += 1


def _check_steps(account: Account, working: Working, plan: NamePlan, total: int) -> None:
    """A checklist step is done when its count is reached, and stays done."""
    for key, needed in plan.steps:
        if total >= needed and key not in account.steps:
            account.steps = writable(account.steps)
            account.steps[key] = account.now
            working.refresh_checklist()


def _new_series(account: Account, working: Working, name: str, plan: NamePlan, t: int, counts: Counts) -> EventSeries:
    if len(account.events) >= limits.EVENT_NAMES_MAX:
        evicted = min(account.events, key=lambda known: account.events[known].last)
        del account.events[evicted]
        working.forget_event(evicted)
        counts[Noted.EVENT_EVICTED] += 1
    series = account.events[name] = EventSeries(0, t, t)
    working.begin_named(plan.counted_at, series)
    return series


def _count_activity(
    account: Account, working: Working, record: Record, naming: Naming, day: int, counts: Counts
) -> None:
    account.total += 1
    working.add_activity(day, naming.weight)
    for place, plan in enumerate(naming.plans):
        if plan.core >= 0 and naming.names[place] in account.events:  # not evicted by another name of this very record
            working.add_core(plan.core, day)
    if account.last_active is None or record.t > account.last_active:
        account.last_active = working.last_active_at = record.t
    user = record.user
    if user is not None:
        user = bounded_identity(user, counts)
        known = account.users.get(user)
        if known is None or day > known:
            working.add_user(known, day)
            account.users = writable(account.users)
            _see(account.users, user, day, limits.USERS_MAX, Noted.USER_EVICTED, working, counts)
    team = team_of(record.properties, working.program.team_path)
    if team is not None:
        team = bounded_identity(team, counts)
        known = account.teams.get(team)
        if known is None or day > known:
            working.add_team(known, day)
            account.teams = writable(account.teams)
            _see(account.teams, team, day, limits.TEAMS_MAX, Noted.TEAM_EVICTED, working, counts)


def _see(
    last_days: dict[str, int], key: str, day: int, limit: int, evicted: Noted, working: Working, counts: Counts
) -> None:
    held: dict[str, Any] = last_days
    held[key] = shared(day)
    if len(last_days) > limit:
        del last_days[min(last_days, key=last_days.__getitem__)]
        working.recount()
        counts[evicted] += 1


def _pair(account: Account, first: str, key: str, within_ms: int, t: int) -> None:
    """A second event happened at `t`: remember it if the greatest t of `first` is at most `within_ms` earlier."""
    before = account.events.get(first)
    if before is not None and 0 <= t - before.last <= within_ms:
        account.sequences = writable(account.sequences)
        account.sequences[key] = max(t, account.sequences.get(key, t))


def _apply_billing(account: Account, working: Working, record: Record, counts: Counts) -> None:
    name, t, properties = record.name, record.t, record.properties
    if name == "subscription_started" and (account.converted_at is None or t >= account.converted_at):
        account.converted_at = t
        if t == account.cancelled_at:
            account.tie_cancelled = False
    elif name == "subscription_cancelled" and (account.cancelled_at is None or t >= account.cancelled_at):
        account.cancelled_at = t
        if t == account.converted_at:
            account.tie_cancelled = True
    working.refresh_billing()
    if name != "subscription_cancelled":
        written: dict[str, Any] = {key: properties[key] for key in ("plan", "mrr") if key in properties}
        if written:
            set_traits(account, written, t, counts)
            working.refresh_traits()


def _apply_nps(account: Account, working: Working, record: Record, counts: Counts) -> None:
    score, user = number(record.properties.get("score")), record.user
    if score is None or not 0 <= score <= NPS_MAX or user is None:
        counts[Noted.NPS_IGNORED] += 1
        return
    user = bounded_identity(user, counts)
    known = account.nps.get(user)
    if known is not None and known[0] > record.t:
        return
    account.nps = writable(account.nps)
    account.nps[user] = (record.t, float(score))
    if len(account.nps) > limits.USERS_MAX:
        del account.nps[min(account.nps, key=lambda answered: account.nps[answered][0])]
        counts[Noted.ANSWER_EVICTED] += 1
    working.refresh_nps()


def set_traits(account: Account, traits: dict[str, Any], t: int, counts: Counts) -> None:
    """Per key the value with the greatest t, a tie goes to the later record; whole values, never merged."""
    account.traits = writable(account.traits)
    for long_key, value in traits.items():
        key = _cut(long_key, limits.TRAIT_KEY_CHARS_MAX, counts)
        known = account.traits.get(key)
        if known is not None and known[0] > t:
            continue
        account.traits[key] = (t, _bounded(value, counts))
        if len(account.traits) > limits.TRAITS_MAX:
            del account.traits[min(account.traits, key=lambda name: account.traits[name][0])]
            counts[Noted.TRAIT_EVICTED] += 1


def _bounded(value: Any, counts: Counts) -> Any:
    """A trait's value within limits: texts cut, nested values of too many parts unknown."""
    if type(value) is str:
        return _cut(value, limits.TRAIT_TEXT_CHARS_MAX, counts)
    if type(value) in (dict, list):
        within = _cut_within(value, counts) if _parts(value) <= NESTED_TRAIT_PARTS_MAX else None
        if within is None or len(msgspec.json.encode(within)) > limits.NESTED_TRAIT_BYTES_MAX:
            counts[Noted.TRAIT_TOO_LARGE] += 1
            return None
        return within
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        # Beyond 64 bits only the size of a number matters; beyond a float's range it is none.
        try:
            return float(value)
        except OverflowError:
            return None
    return value


def _parts(value: Any) -> int:
    if type(value) is dict:
        return 1 + sum(_parts(part) for part in value.values())
    if type(value) is list:
        return 1 + sum(_parts(part) for part in value)
    return 1


def _cut_within(value: Any, counts: Counts) -> Any:
    if type(value) is dict:
        return {_cut(key, limits.TRAIT_KEY_CHARS_MAX, counts): _cut_within(part, counts) for key, part in value.items()}
    if type(value) is list:
        return [_cut_within(part, counts) for part in value]
    return _bounded(value, counts)


def bounded_identity(value: str, counts: Counts) -> str:
    """A user or team; one that is too long is known by its hash, so that two that differ late stay two."""
    if len(value) <= _SHORT_CHARS:
        return value
    encoded = value.encode("utf-8", "surrogatepass")
    if len(encoded) <= limits.IDENTITY_BYTES_MAX:
        return value
    counts[Noted.TEXT_CUT] += 1
    return f"blake2b:{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"


def _cut(value: str, chars_max: int, counts: Counts) -> str:
    if len(value) <= chars_max:
        return value
    counts[Noted.TEXT_CUT] += 1
    return value[:chars_max]
